"""The operators: tasks that create, change, plan or call something in OpenCX, or report on it."""
