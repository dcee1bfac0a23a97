airflow db migrate
airflow dags test reminders
