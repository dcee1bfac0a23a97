pytest tests
