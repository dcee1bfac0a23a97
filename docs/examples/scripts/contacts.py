"""Contacts by the hook: those who are missing are created, so that a sequence reaches them."""

# ruff: noqa: S101 - what is asserted here is what the reader should know
from airflow_provider_opencx.hooks.opencx import OpenCXHook

PEOPLE = {"+14155550101": "Ada", "+14155550102": "Grace"}

hook = OpenCXHook("opencx_default")
known = {contact.phone_number for contact in hook.list_contacts()}
for number, name in PEOPLE.items():
    if number not in known:
        hook.create_contact(phone_number=number, name=name)

ada, grace = hook.list_contacts()
hook.update_contact(ada.id, custom_data={"plan": "premium"})
assert (grace.name, grace.phone_number) == ("Grace", "+14155550102")
