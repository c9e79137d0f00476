"""Automatic placement: processors, data memory, weight slots, bias bytes of one network or of several.

Greedy strategies come first; where they fail, a constraint solver decides. Every result has passed the
verifier.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from synergyc.diagnostics import Diagnostic, SynergyError
from synergyc.ir.network import Network
from synergyc.synth.arrange import Arrangement, Problem, Taken, arrangements
from synergyc.synth.biases import BiasRequest, allocate_biases, has_biases
from synergyc.synth.buffers import InputForm, with_copies
from synergyc.synth.concat import with_equal_parts
from synergyc.synth.draft import Draft, draft_of, part_of, placed_network, problem_of, shares_weights
from synergyc.synth.forms import memory_forms, streaming_forms
from synergyc.synth.lowering import needs_reset
from synergyc.synth.memories import WeightRequest, allocate_weights
from synergyc.synth.occupancy import bias_bytes_beside, taken_slots, weight_memory_beside
from synergyc.synth.placed import BiasPlace, PlacedNetwork
from synergyc.synth.solve import Outcome, Scope, solve
from synergyc.synth.untie import untied
from synergyc.synth.verify import check_operators, verify
from synergyc.targets import Chip, Cnn

DEFAULT_BUDGET_S = 8.0
"""Of the constraint solver, in its own seconds, which do not depend on the machine."""


@dataclass(frozen=True)
class Options:
    """``beside``: networks that stay where they are; ``budget_s``: of the solver, 0: do not ask it."""

    weight_start: int = 0
    beside: tuple[PlacedNetwork, ...] = ()
    budget_s: float = DEFAULT_BUDGET_S


def place(
    network: Network,
    chip: Chip,
    *,
    weight_start: int = 0,
    first_layer: int = 0,
    beside: Sequence[PlacedNetwork] = (),
    budget_s: float = DEFAULT_BUDGET_S,
) -> PlacedNetwork:
    """Return ``network`` with a place on ``chip`` for everything.

    Weights go to slot ``weight_start`` and up, layer registers to ``first_layer`` and up. Weights and biases
    stay clear of those of the networks ``beside``, so that all are resident together; their layer registers
    are not looked at.

    Tensors that are needed at the same time never overlap, except that an output may be written over an input
    that is read for the last time, where reads stay ahead. An input that is too large for the data memory
    streams through the FIFOs. Raises SynergyError if something does not fit, with the limit and the number
    asked; the message says whether that is proven or the solver's budget ran out.
    """
    expanded = prepared(network, chip)
    problems = check_operators(expanded.layers, chip, first_layer=first_layer)
    if problems:
        raise SynergyError(problems)
    options = Options(weight_start, tuple(beside), budget_s)
    return _Search(chip, options).one(expanded, first_layer)


def place_together(
    networks: Sequence[Network],
    first_layers: Sequence[int],
    alone: Sequence[PlacedNetwork],
    chip: Chip,
    budget_s: float = DEFAULT_BUDGET_S,
) -> tuple[PlacedNetwork, ...]:
    """Return ``networks`` placed all at once, so that all are resident together.

    ``alone`` are placements of each that tell how its input arrives. Raises SynergyError like :func:`place`.
    """
    search = _Search(chip, Options(budget_s=budget_s))
    drafts = _drafts(networks, first_layers, alone, chip)
    found = search.greedy(drafts) or search.solved(drafts)
    if found is None:
        raise SynergyError(search.failures[-1])
    return found


def refuse_weights(
    networks: Sequence[Network], alone: Sequence[PlacedNetwork], chip: Chip, budget_s: float
) -> None:
    """Raise SynergyError if weights of ``networks`` are proven not to fit together, wherever data may lie.

    ``alone`` as for :func:`place_together`. Layers with equal weights might share them; then nothing is
    proven.
    """
    drafts = _drafts(networks, [0] * len(networks), alone, chip)
    if not any(shares_weights([draft]) for draft in drafts):
        _Search(chip, Options(budget_s=budget_s)).refuse_weights(drafts)


def _drafts(
    networks: Sequence[Network], first_layers: Sequence[int], alone: Sequence[PlacedNetwork], chip: Chip
) -> list[Draft]:
    drafts = []
    for network, first, placed in zip(networks, first_layers, alone, strict=True):
        expanded = prepared(network, chip)
        drafts.append(draft_of(expanded, chip, _form_of(placed, expanded, chip), first))
    return drafts


def _form_of(placed: PlacedNetwork, network: Network, chip: Chip) -> InputForm:
    """Return how the input of a placed network arrives."""
    count, big = sum(layer.streaming for layer in placed), placed.layers[0].big
    if not placed.fifo:
        return InputForm(big)
    forms = streaming_forms(network, chip)
    return next(form for form in forms if (form.streaming, form.big) == (count, big))


def prepared(network: Network, chip: Chip) -> Network:
    """Return ``network`` with the layers, channels and weights that only its place in memory asks for."""
    return untied(with_copies(with_equal_parts(network, chip.cnn), chip.cnn), chip)


def hardware_layers(network: Network, cnn: Cnn) -> int:
    """Return how many layer registers ``network`` takes, with the extra layers that the chip needs."""
    layers = with_copies(with_equal_parts(network, cnn), cnn).layers
    before = [1, *(len(layer.inputs) if layer.eltwise is not None else 1 for layer in layers)]
    resets = (needs_reset(layer, count, cnn) for layer, count in zip(layers, before, strict=False))
    return len(layers) + sum(resets)


@dataclass
class _Search:
    """Looks for a placement; ``failures`` say what stopped each attempt."""

    chip: Chip
    options: Options
    failures: list[Diagnostic] = field(default_factory=list)
    sharing: bool = False
    weights_fit: bool = True
    spent_s: float = 0.0

    def one(self, network: Network, first_layer: int) -> PlacedNetwork:
        """Return the first placement found: input in memory, then input that streams.

        Layers with equal weights share them only where they do not fit otherwise.
        """
        for sharing in (False, True):
            self.sharing, self.weights_fit = sharing, True
            for forms in (memory_forms(network, self.chip.cnn), self._streaming(network, first_layer)):
                found = self._first_of(network, first_layer, forms)
                if found is not None:
                    return found
                if not self.weights_fit:
                    break  # streaming does not help
            if self.weights_fit or not shares_weights([draft_of(network, self.chip, InputForm(), 0)]):
                break
        raise SynergyError(self.failures[-1])

    def _first_of(
        self, network: Network, first_layer: int, forms: Iterable[InputForm]
    ) -> PlacedNetwork | None:
        """Return the first placement with one of ``forms``: greedy ones, then those of the solver."""
        drafts = []
        for form in forms:
            drafts.append(draft_of(network, self.chip, form, first_layer))
            found = self.greedy(drafts[-1:])
            if found is not None:
                return found[0]
        for draft in drafts if self.options.budget_s else []:
            found = self.solved([draft])
            if found is not None:
                return found[0]
        return None

    def _streaming(self, network: Network, first_layer: int) -> Iterator[InputForm]:
        """Yield the forms of an input that streams: into the first layers only, which alone can do that."""
        return streaming_forms(network, self.chip) if first_layer == 0 else iter(())

    def greedy(self, drafts: Sequence[Draft]) -> tuple[PlacedNetwork, ...] | None:
        """Return what the greedy strategies find, None if they fail."""
        for overlays in (False, True):
            for result in arrangements(self._problem(drafts, overlays=overlays)):
                found = None if isinstance(result, Diagnostic) else self._finished(drafts, result)
                if isinstance(result, Diagnostic):
                    self.failures.append(result)
                if found is not None:
                    return found
        return None

    def solved(self, drafts: Sequence[Draft]) -> tuple[PlacedNetwork, ...] | None:
        """Return what the constraint solver finds, None if there is nothing or its budget ran out."""
        first = self.failures[0]
        for rule, scope in (
            ("weight-memory", Scope(data=False)),
            ("data-memory", Scope(weights=False)),
            (None, Scope()),
        ):
            problem = self._problem(drafts, overlays=True)
            result, spent_s = solve(problem, max(0.0, self.options.budget_s - self.spent_s), scope)
            self.spent_s += spent_s
            if isinstance(result, Outcome):
                self.failures.append(_judged(first, rule, result))
                self.weights_fit = rule != "weight-memory"
                return None
            if rule is None:
                # The vendor tool's rule for slots, if it succeeds: only then its engine can follow.
                by_rule = self._finished(drafts, replace(result, slots=None)) if len(drafts) == 1 else None
                return by_rule or self._finished(drafts, result)
        return None

    def refuse_weights(self, drafts: Sequence[Draft]) -> None:
        """Raise SynergyError if the solver proves that there is no room for the weights of ``drafts``."""
        problem = self._problem(drafts, overlays=True)
        result, _ = solve(problem, self.options.budget_s, Scope(data=False))
        if result is Outcome.IMPOSSIBLE:
            message = "no room in weight memory"
            raise SynergyError(_judged(Diagnostic("weight-memory", message), None, result))

    @cached_property
    def _taken(self) -> tuple[Taken, ...]:
        return taken_slots(self.options.beside, self.chip.cnn)

    def _problem(self, drafts: Sequence[Draft], *, overlays: bool) -> Problem:
        return problem_of(
            drafts,
            overlays=overlays,
            sharing=self.sharing,
            taken=self._taken,
            weight_start=self.options.weight_start,
        )

    def _finished(
        self, drafts: Sequence[Draft], arrangement: Arrangement
    ) -> tuple[PlacedNetwork, ...] | None:
        """Return the drafts with weights and biases in place; None: they do not fit, or a rule is broken."""
        found: list[PlacedNetwork] = []
        for number, draft in enumerate(drafts):
            part = part_of(arrangement, drafts, number)
            placed = placed_network(draft, part, self.options.weight_start)
            try:
                found.append(self._with_memories(draft, placed, part, found))
            except SynergyError as error:
                self.failures += error.diagnostics
                return None
        return tuple(found)

    def _with_memories(
        self, draft: Draft, placed: PlacedNetwork, part: Arrangement, before: Sequence[PlacedNetwork]
    ) -> PlacedNetwork:
        """Return ``placed`` with weight slots and bias bytes; raises SynergyError."""
        beside = (*self.options.beside, *before)
        slots = self._slots(draft, placed, part, beside)
        biases = _biases(placed, beside, self.chip.cnn)
        complete = replace(
            placed,
            layers=tuple(
                replace(
                    layer, weight_slot=slots.get(layer.layer.name, 0), bias=biases.get(layer.layer.name, ())
                )
                for layer in placed
            ),
        )
        problems = verify(complete, self.chip)
        if problems:
            raise SynergyError(problems)
        return complete

    def _slots(
        self, draft: Draft, placed: PlacedNetwork, part: Arrangement, beside: Sequence[PlacedNetwork]
    ) -> dict[str, int]:
        """Return the first weight slots by layer: the arrangement's own, or by the tool's rules."""
        layers = [layer for layer in placed if layer.layer.name in draft.images]
        slots = part.slots
        if slots is None:
            requests = [
                WeightRequest(
                    layer.layer.name,
                    layer.processors,
                    draft.images[layer.layer.name],
                    layer.layer.groups > 1,
                )
                for layer in layers
            ]
            memory = weight_memory_beside(beside, self.chip.cnn)
            start = self.options.weight_start
            slots = allocate_weights(requests, self.chip.cnn, start=start, memory=memory)
        return {layer.layer.name: slot for layer, slot in zip(layers, slots, strict=True)}


def _biases(
    placed: PlacedNetwork, beside: Sequence[PlacedNetwork], cnn: Cnn
) -> dict[str, tuple[BiasPlace, ...]]:
    """Return the bias places by layer; biases that are all zero are left out."""
    requests = [BiasRequest(layer, placed.quadrants) for layer in placed if has_biases(layer)]
    found = allocate_biases(requests, cnn, start=bias_bytes_beside(beside, cnn))
    return {request.name: places for request, places in zip(requests, found, strict=True)}


def _judged(first: Diagnostic, rule: str | None, outcome: Outcome) -> Diagnostic:
    """Return the diagnostic of the first failure with what the solver says about it."""
    return replace(first, rule=rule or first.rule, message=f"{first.message} ({outcome})")
