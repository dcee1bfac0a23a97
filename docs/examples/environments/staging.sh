python -m airflow_provider_opencx validate environments.yaml --vars-file staging.env
export OPENCX_API_KEY=$STAGING_KEY
python -m airflow_provider_opencx apply environments.yaml --vars-file staging.env --yes
python -m airflow_provider_opencx plan environments.yaml --vars-file staging.env --detailed-exitcode
