"""Creates, reads, changes, starts and cancels sequences, and adds contacts to them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from airflow_provider_opencx.simulator.contract import Contract
from airflow_provider_opencx.simulator.handler import AcceptedRequest, Handlers, HTTPError
from airflow_provider_opencx.simulator.json_values import Json, JsonObject
from airflow_provider_opencx.simulator.resources.sequences.fields import kept_fields
from airflow_provider_opencx.simulator.resources.sequences.sequence import (
    SequenceRefusedError,
    StoredSequence,
    UnknownSequenceError,
)
from airflow_provider_opencx.simulator.resources.sequences.store import Sequences

_SCHEMA = "SequenceDto"


def create_sequence(request: AcceptedRequest) -> Json:
    """Create a sequence, and return its id."""
    sequences = request.service.state(Sequences)
    given = kept_fields(request.body, sequences.settings.drops_fields)
    return {"id": sequences.create(request.organization, given).id}


def get_sequence(request: AcceptedRequest) -> Json:
    """Return one sequence."""
    with _refusals():
        sequence = request.service.state(Sequences).shown(_id(request), request.organization)
    return sequence_fields(sequence, request.contract)


def update_sequence(request: AcceptedRequest) -> Json:
    """Change a sequence."""
    sequences = request.service.state(Sequences)
    with _refusals():
        sequences.change(_id(request), kept_fields(request.body, sequences.settings.drops_fields), request.organization)
    return None


def start_sequence(request: AcceptedRequest) -> Json:
    """Start a sequence."""
    with _refusals():
        request.service.state(Sequences).start(_id(request), request.organization)
    return None


def cancel_sequence(request: AcceptedRequest) -> Json:
    """Cancel a sequence or a run."""
    with _refusals():
        request.service.state(Sequences).cancel(_id(request), request.organization)
    return None


def add_contacts_to_sequence(request: AcceptedRequest) -> Json:
    """Put contacts into a continuous sequence, and return the id of their run."""
    references = request.body["contacts"]
    with _refusals():
        run_id = request.service.state(Sequences).enrol(
            _id(request), references if isinstance(references, list) else [], request.organization
        )
    return {"run_id": run_id}


HANDLERS: Handlers = {
    "createSequence": create_sequence,
    "getSequence": get_sequence,
    "updateSequence": update_sequence,
    "startSequence": start_sequence,
    "cancelSequence": cancel_sequence,
    "addContactsToSequence": add_contacts_to_sequence,
}


def sequence_fields(sequence: StoredSequence, contract: Contract) -> JsonObject:
    """Return a sequence's fields as a generation has them."""
    return contract.known_fields(_SCHEMA, sequence.all_fields())


def _id(request: AcceptedRequest) -> str:
    return request.path_parameters["sequence_id"]


@contextmanager
def _refusals() -> Iterator[None]:
    """Respond as the service does where a sequence is unknown or its state does not allow something."""
    try:
        yield
    except UnknownSequenceError:
        raise HTTPError(404, "sequence_not_found") from None
    except SequenceRefusedError as refusal:
        raise HTTPError(400, str(refusal)) from None
