curl --json '{}' http://127.0.0.1:8010/_simulator/reset
curl --json '{"agents": [{"name": "Support", "language": ["de"]}, {"name": "Late", "progression": "never, gone after 1m"}]}' http://127.0.0.1:8010/_simulator/agents
curl -X PATCH --json '{"first_message": "Hallo!", "phone_number": "+15550123"}' http://127.0.0.1:8010/_simulator/agents/pa_000001
curl --json '{"operation": "createPhoneAgent", "fault": {"type": "LoseResponse"}, "times": 2}' http://127.0.0.1:8010/_simulator/faults
curl --json '{"operation": "listPhoneAgents", "fault": {"type": "TooManyRequests", "retry_after": 30, "as_date": true}, "times": null, "probability": 0.1, "seed": 7}' http://127.0.0.1:8010/_simulator/faults
curl --json '{"operation": "updatePhoneAgent", "fault": {"type": "IgnoreFields", "fields": ["language"]}}' http://127.0.0.1:8010/_simulator/faults
curl -X DELETE --json '{}' http://127.0.0.1:8010/_simulator/faults
curl -X PATCH --json '{"provision_after": "3reads", "requests_per_minute": null}' http://127.0.0.1:8010/_simulator/settings
curl -X PUT --json '{"key_style": "snake", "strict": true}' http://127.0.0.1:8010/_simulator/calls/keys
curl http://127.0.0.1:8010/_simulator/calls
curl --json '{"advance": "10m"}' http://127.0.0.1:8010/_simulator/clock
curl http://127.0.0.1:8010/_simulator/agents
curl http://127.0.0.1:8010/_simulator/journal
curl -X DELETE --json '{}' http://127.0.0.1:8010/_simulator/journal
