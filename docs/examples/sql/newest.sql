-- Local copies: DuckDB does not know Airflow's connections. The columns are named, because a file may be empty.
FROM read_json(
    'conversations/*.jsonl.gz',
    columns = {id: 'VARCHAR', updated_at: 'TIMESTAMP', status: 'VARCHAR', sentiment: 'VARCHAR', contact: 'JSON'}
)
QUALIFY row_number() OVER (PARTITION BY id ORDER BY updated_at DESC) = 1
