export OPENCX_API_KEY=demo-key
export OPENCX_API_URL=http://127.0.0.1:8010
