airflow pools set opencx_reminders 1 "One task at a time that declares the reminder"
