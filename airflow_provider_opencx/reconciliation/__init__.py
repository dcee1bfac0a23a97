"""Makes the items of the service match their declarations: plan, apply, confirm. It knows no resource.

Phone agents and training scenarios are declared, created once and kept as declared by the same code: what is one of
them, how it is listed and how it is written, a :class:`.resource.Resource` says.
"""
