import importlib

EXPERIMENTS = []
for m, c in [
    ("maxwell_bkw", "MaxwellBKW"),
    ("coulomb_relaxation", "CoulombRelaxation"),
    ("coulomb_isotropization", "CoulombIsotropization"),
    ("torus_mode", "TorusMode"),
    ("microcanonical", "Microcanonical"),
    ("annihilation", "Annihilation"),
    ("landau_damping", "LandauDamping"),
    ("two_stream", "TwoStream"),
    ("hmf", "HMF"),
    ("mean_field_diagram", "MeanFieldDiagram"),
    ("counting", "Counting"),
    ("conservation", "Conservation"),
]:
    try:
        EXPERIMENTS.append(getattr(importlib.import_module("." + m, __name__), c))
    except (ImportError, AttributeError) as e:
        pass
