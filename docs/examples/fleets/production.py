"""Reads the fleet of one environment."""

from airflow_provider_opencx.phone_agents.declarations import parse_fleet
from airflow_provider_opencx.phone_agents.fleet_files.reader import read_fleet

fleet = read_fleet("campaign/fleet.yaml", variables={"COMPANY": "Clinic of Austin", "HANDOFF": "+15125550100"})
for agent in parse_fleet(fleet):
    print(agent.name, agent.handoff_phone_number)
