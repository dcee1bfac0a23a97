"""A sequence, the campaign that the service carries out: declared, compared, started once, canceled, waited for."""
