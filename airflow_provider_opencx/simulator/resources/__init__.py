"""The API's resources, one module or package each."""
