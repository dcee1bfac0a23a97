"""A request that the provider does not know."""

# ruff: noqa: S101 - what is asserted here is what the reader should know
from airflow_provider_opencx.hooks.opencx import OpenCXHook

client = OpenCXHook("opencx_default").get_conn()
voices = client.request("GET", "/phone/voices", params={"language": "en"}).json()
assert isinstance(voices, list)
