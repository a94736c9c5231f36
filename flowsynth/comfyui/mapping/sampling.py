"""KSampler and what it was taken apart into: noise, sigmas, guiders and samplers."""

from __future__ import annotations

from dataclasses import replace

from flowsynth.comfyui.mapping.denoise import drawn
from flowsynth.comfyui.mapping.errors import CannotMapError
from flowsynth.comfyui.mapping.site import Site
from flowsynth.comfyui.mapping.table import Mapper, Outputs, Table, node
from flowsynth.comfyui.mapping.values import Asked, Cond, Guider, Net, Noise, Room, Sampler, Steps


def k_sampler(site: Site) -> Outputs:
    """All of it in one node."""
    steps = Steps(site.text("scheduler", "normal"), site.whole("steps", 20), site.number("denoise", 1))
    asked = Asked(
        site.need("model", Net), site.need("positive", Cond), site.maybe("negative", Cond),
        site.number("cfg", 8), site.text("sampler_name", "euler"), steps, site.whole("seed"),
    )  # fmt: skip
    return (drawn(site, asked, site.need("latent_image", Room)),)


def k_sampler_advanced(site: Site) -> Outputs:
    """Some of the steps, with or without noise before and left after them."""
    total = site.whole("steps", 20)
    last = site.whole("end_at_step", 10000)
    first = site.whole("start_at_step")
    steps = Steps(site.text("scheduler", "normal"), total, first=first, last=last if last < total else None)
    asked = Asked(
        site.need("model", Net), site.need("positive", Cond), site.maybe("negative", Cond),
        site.number("cfg", 8), site.text("sampler_name", "euler"), steps, site.whole("noise_seed"),
        noise=site.truth("add_noise", default=True),
        leftover=site.truth("return_with_leftover_noise") and steps.last is not None,
    )  # fmt: skip
    return (drawn(site, asked, site.need("latent_image", Room)),)


def custom(site: Site) -> Outputs:
    """A sampler and sigmas from elsewhere; the second output is what the model last predicted."""
    asked = Asked(
        site.need("model", Net), site.need("positive", Cond), site.maybe("negative", Cond),
        site.number("cfg", 8), site.need("sampler", Sampler).name, site.need("sigmas", Steps),
        site.whole("noise_seed"), noise=site.truth("add_noise", default=True),
    )  # fmt: skip
    made = drawn(site, asked, site.need("latent_image", Room))
    return made, made


def custom_advanced(site: Site) -> Outputs:
    """Noise, guider, sampler and sigmas from elsewhere."""
    guider, noise = site.need("guider", Guider), site.need("noise", Noise)
    asked = Asked(
        guider.net, guider.positive, guider.negative, guider.cfg, site.need("sampler", Sampler).name,
        site.need("sigmas", Steps), noise.seed or 0, noise=noise.seed is not None,
    )  # fmt: skip
    made = drawn(site, asked, site.need("latent_image", Room))
    return made, made


def basic_guider(site: Site) -> Outputs:
    """No classifier-free guidance."""
    return (Guider(site.need("model", Net), site.need("conditioning", Cond), None, 1.0),)


def cfg_guider(site: Site) -> Outputs:
    """Classifier-free guidance."""
    net, positive = site.need("model", Net), site.need("positive", Cond)
    return (Guider(net, positive, site.maybe("negative", Cond), site.number("cfg", 8)),)


def sampler(site: Site) -> Outputs:
    """A method by name."""
    return (Sampler(site.text("sampler_name", "euler")),)


def named_sampler(name: str) -> Mapper:
    """A method with options of its own."""

    def run(site: Site) -> Outputs:
        eta = site.number("eta", 1)
        if eta != 1 and "eta" in site.step.inputs:
            raise CannotMapError(f"eta: expected 1, as diffusers' schedulers have, given {eta:g}")
        return (Sampler(name),)

    return run


def basic_steps(site: Site) -> Outputs:
    """A schedule by name."""
    return (Steps(site.text("scheduler", "normal"), site.whole("steps", 20), site.number("denoise", 1)),)


def fixed_steps(schedule: str) -> Mapper:
    """A schedule that the node is named after, with bounds of a model's own."""
    return lambda site: (Steps(schedule, site.whole("steps", 20), site.number("denoise", 1)),)


def ltx_steps(site: Site) -> Outputs:
    """LTX-Video's: its shift follows from the size, in diffusers too."""
    return (Steps("simple", site.whole("steps", 20)),)


def manual_steps(site: Site) -> Outputs:
    """Sigmas, each as a number."""
    text = site.text("sigmas")
    try:
        sigmas = tuple(float(each) for each in text.replace(";", ",").split(",") if each.strip())
    except ValueError:
        raise CannotMapError(f"sigmas: expected numbers with commas between, given {text!r}") from None
    if len(sigmas) < 2:
        raise CannotMapError(f"sigmas: expected two numbers or more, given {text!r}")
    return (Steps("", len(sigmas) - 1, sigmas=sigmas),)


def split_steps(site: Site) -> Outputs:
    """The steps before one, and those from it on."""
    steps, at = site.need("sigmas", Steps), site.whole("step")
    return replace(steps, last=steps.first + at), replace(steps, first=steps.first + at)


def noise(site: Site) -> Outputs:
    """A seed."""
    return (Noise(site.whole("noise_seed")),)


TABLE: Table = {
    "KSampler": node(k_sampler, "seed steps cfg sampler_name scheduler denoise"),
    "KSamplerAdvanced": node(
        k_sampler_advanced,
        "add_noise noise_seed steps cfg sampler_name scheduler start_at_step end_at_step"
        " return_with_leftover_noise",
    ),
    "SamplerCustom": node(custom, "add_noise noise_seed cfg"),
    "SamplerCustomAdvanced": node(custom_advanced),
    "BasicGuider": node(basic_guider),
    "CFGGuider": node(cfg_guider, "cfg"),
    "KSamplerSelect": node(sampler, "sampler_name"),
    "SamplerEulerAncestral": node(named_sampler("euler_ancestral"), "eta s_noise"),
    "SamplerDPMPP_2M_SDE": node(named_sampler("dpmpp_2m_sde"), "solver_type eta s_noise noise_device"),
    "SamplerDPMPP_SDE": node(named_sampler("dpmpp_sde"), "eta s_noise r noise_device"),
    "SamplerLCMUpscale": node(named_sampler("lcm"), "scale_ratio scale_steps upscale_method"),
    "BasicScheduler": node(basic_steps, "scheduler steps denoise"),
    "KarrasScheduler": node(fixed_steps("karras"), "steps sigma_max sigma_min rho"),
    "ExponentialScheduler": node(fixed_steps("exponential"), "steps sigma_max sigma_min"),
    "SDTurboScheduler": node(fixed_steps("turbo"), "steps denoise"),
    "BetaSamplingScheduler": node(fixed_steps("beta"), "steps alpha beta"),
    "Flux2Scheduler": node(fixed_steps("simple"), "steps width height"),
    "LTXVScheduler": node(ltx_steps, "steps max_shift base_shift stretch terminal"),
    "ManualSigmas": node(manual_steps, "sigmas"),
    "SplitSigmas": node(split_steps, "step"),
    "RandomNoise": node(noise, "noise_seed"),
    "DisableNoise": node(lambda _: (Noise(None),)),
}
