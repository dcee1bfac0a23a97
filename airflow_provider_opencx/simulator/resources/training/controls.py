"""Lets tests read and change training scenarios without a request, as a person can in the dashboard."""

from __future__ import annotations

from airflow_provider_opencx.simulator.json_values import Json, JsonObject
from airflow_provider_opencx.simulator.resources.training.handlers import training_fields
from airflow_provider_opencx.simulator.resources.training.store import INPUT_DEFAULTS, Store, Training
from airflow_provider_opencx.simulator.service import Service


class TrainingControls(Service):
    """A service whose training scenarios can be added, changed and removed without a request."""

    def training(self, api_key: str | None = None) -> list[JsonObject]:
        """Return the training scenarios of an organization, in the form of the newest generation.

        :param api_key: the organization's key; None is the first one
        """
        self.clock.catch_up()
        return [self._fields(each) for each in self.state(Store).trainings(self._organization(api_key))]

    def create_training(self, title: str, content: str, *, api_key: str | None = None, **fields: Json) -> JsonObject:
        """Add a training scenario.

        :param api_key: the organization's key; None is the first one
        :param fields: its other fields, such as ``is_draft`` and ``restricted_to_channels``
        """
        self.clock.catch_up()
        given = {"title": title, "content": content, **fields}
        return self._fields(self.state(Store).create(self._organization(api_key), given))

    def update_training(self, training_id: str, **fields: Json) -> JsonObject:
        """Change fields of a training scenario, and publish it unless it is a draft."""
        self.clock.catch_up()
        store = self.state(Store)
        now = store.find(training_id).fields
        return self._fields(store.replace(training_id, {**{name: now[name] for name in INPUT_DEFAULTS}, **fields}))

    def edit_training(self, training_id: str, *, title: str | None = None, content: str | None = None) -> JsonObject:
        """Edit the text of a training scenario without publishing the edit.

        :param title: None leaves it unchanged
        :param content: None leaves it unchanged
        """
        self.clock.catch_up()
        return self._fields(self.state(Store).edit(training_id, title, content))

    def remove_training(self, training_id: str) -> None:
        """Remove a training scenario."""
        self.clock.catch_up()
        self.state(Store).remove(training_id)

    def _fields(self, training: Training) -> JsonObject:
        # If the generation has no training scenarios, tests see those of the newest generation.
        return training_fields(training, self.newest_contract)
