"""Allowed values of the options of an experiment, as text for `jaxkinetic run NAME --help`."""

from ...landau.microcanonical import LAWS
from .experiment import SYSTEMS, AmplitudeOptions, Experiment


def options_of(experiment: Experiment) -> dict[str, str]:
    """Name and allowed values of every option that the experiment has."""
    waves = isinstance(experiment.defaults, AmplitudeOptions)
    least, most = experiment.least_dim, experiment.most_dim
    fixed_angle = getattr(experiment.defaults, "law", None) is not None
    words = {
        "particles": "at least 4" if waves else "2 to 2^31",
        "dim": f"{least}" if least == most else f"at least {least}" if most is None else f"{least} to {most}",
        "dt": "above 0",
        "steps": f"at least {experiment.least_steps}",
        "replicas": f"at least {16 if waves else 1}",
        "seed": "0 to 2^32 - 1",
        "scheme": ", ".join(experiment.schemes),
        "gamma": "at least 0 with --law fixed_angle, else at least -dim" if fixed_angle else "at least -dim",
        "alpha": "above 0, at most 1",
        "law": ", ".join(LAWS),
        "epsilon": "above 0; at most pi with --law fixed_angle",
        "system": ", ".join(SYSTEMS),
        "nx": "even, at least 8",
        "nv": "even, at least 32",
        "wavenumber": "above 0",
        "temperature": "above 0",
        "drift": "above 0",
        "amplitude": "above 0, below 1",
    }
    return {name: text for name, text in words.items() if getattr(experiment.defaults, name, None) is not None}
