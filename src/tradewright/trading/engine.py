"""The engine loop: one run, its feed, its broker, its journal.

For each closed row: the splits and dividends that take place in it first, then the broker's news (fills, ended orders),
then the row. Every input is journalled in a transaction of its own before it is handled; what it causes (signals,
scores, orders, postings, events, the mark "handled up to here") is written in one transaction. Orders are durable as
intents before they are sent; an intent whose fate is unknown is looked up at the broker before it is sent. So a process
that is killed anywhere goes on as if it had not been.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import numpy as np

from tradewright import ids
from tradewright.clock import Clock
from tradewright.errors import SourceFailed
from tradewright.market.orders import ExactAction, Fill, Order, OrderStatus, Side
from tradewright.market.panel import Floats, Panel
from tradewright.signals import issue
from tradewright.signals.issue import Issuer
from tradewright.storage import runs, trading
from tradewright.storage import signals as signal_rows
from tradewright.storage.database import Database, Tx
from tradewright.strategies.contract import KernelStrategy, State
from tradewright.strategies.model import ModelStrategy
from tradewright.trading import actions, events, inputs, ledger, rows, sizing
from tradewright.trading.broker import Broker, BrokerOrder
from tradewright.trading.effects import Effects
from tradewright.trading.feed import ClosedRow, Feed
from tradewright.trading.ledger import ZERO, Position
from tradewright.trading.rows import RunIdentity

_WINDOW = 64  # rows kept to score signals beyond their horizon, for instruments that pause


@dataclass(slots=True)
class _Books:
    """The portfolio as the engine holds it between rows; what is stored says the same."""

    cash: Decimal = ZERO
    positions: dict[str, Position] = field(default_factory=dict)
    orders: dict[str, dict[str, Any]] = field(default_factory=dict)  # live ones, by client order id


class Engine:
    """Runs one strategy. Build it, then `run` in a thread; it returns when the feed ends or `stop` is set."""

    def __init__(
        self,
        identity: RunIdentity,
        strategy: KernelStrategy,
        history: Panel,
        broker: Broker,
        observe: Callable[[Panel, Sequence[ExactAction]], None],
        database: Database,
        clock: Clock,
        issuer: Issuer | None,
        behind: bool = False,
    ) -> None:
        """history: the rows before the feed's next one. observe: shown each closed row first, with the actions that
        take place in it (a simulated broker). behind: the last of these rows was late, so that nothing was decided on
        it."""
        self._who = identity
        self._tenant = (identity.organization, identity.environment)
        self._strategy = strategy
        self._broker = broker
        self._observe = observe
        self._database = database
        self._clock = clock
        self._issuer = issuer
        self._state: State = strategy.start(history)
        self._window = history
        self._closes = _last_closes(np.full(history.shape[1], np.nan), history)
        self._last_bars = actions.last_bars(history)
        self._standing = _standing(strategy.advance(self._state, history), history.shape[1])
        self._behind = behind
        self._books = _Books()
        self._last_fill = 0
        self._unsent: set[str] = set()  # client order ids decided by this process that it never tried to send

    def run(self, feed: Feed, stop: threading.Event, after_row: Callable[[ClosedRow], None] | None = None) -> None:
        """Handle rows until the feed ends or `stop` is set; `after_row` is called with each row done."""
        self.recover()
        while (row := feed.next(stop)) is not None:
            self.handle_market(row)
            if after_row is not None:
                after_row(row)
        if not stop.is_set():
            self._database.write(self._end)

    def recover(self) -> None:
        """Load the books, handle what was journalled but not handled, and settle orders whose fate is unknown."""
        run = self._database.read(runs.get_run, *self._tenant, self._who.run)
        assert run is not None
        self._books = self._database.read(self._load_books)
        self._last_fill = self._database.read(runs.last_journalled_fill, self._who.run)
        for entry in self._database.read(runs.journal_after, *self._tenant, self._who.run, run["handled"]):
            if entry["kind"] == inputs.ROW:
                return  # the feed gives this row again; its journal entry is found and used
            self._handle_news([entry])
        self._send()

    def handle_market(self, closed: ClosedRow) -> None:
        """Handle one closed row, its actions and the broker's news before it."""
        row = closed.panel
        due = actions.due(row, self._last_bars)
        if due:
            self._take_actions(due, int(row.times[0]))
        self._observe(row, due)
        self._take_news(int(row.times[0]))
        entry = inputs.of_row(row, closed.index, closed.late)
        entry["created_at"] = self._clock.now_us()
        sequence = self._database.write(runs.append_journal, *self._tenant, self._who.run, [entry])
        self._handle_row(closed, sequence)
        self._send()

    # --- what comes before the row: actions, news from the broker -----------------------------------------------------

    def _take_actions(self, due: Sequence[ExactAction], time: int) -> None:
        now_us = self._clock.now_us()
        self._take([inputs.of_action(action, time) | {"created_at": now_us} for action in due])

    def _take_news(self, time: int) -> None:
        if not self._books.orders:
            return
        fills = self._broker.fills_since(self._last_fill)
        now_us = self._clock.now_us()
        entries = [inputs.of_fill(fill) | {"created_at": now_us} for fill in fills]
        open_ids = {order.client_order_id for order in self._broker.open_orders()}
        filled = {fill.client_order_id: fill.units for fill in fills}
        for name, row in self._books.orders.items():
            if name in open_ids or row["filled_units"] + filled.get(name, ZERO) == row["units"]:
                continue
            found = self._broker.find(name)
            if found is not None and found.status in (OrderStatus.CANCELLED, OrderStatus.REJECTED):
                entries.append(inputs.of_ended(found, time) | {"created_at": now_us})
        if entries:
            self._take(entries)

    def _take(self, entries: list[dict[str, Any]]) -> None:
        pending = self._database.write(self._journalled, entries)
        self._handle_news([entry for entry in pending if entry["kind"] != inputs.ROW])

    def _journalled(self, tx: Tx, entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
        runs.append_journal(tx, *self._tenant, self._who.run, entries)
        run = runs.get_run(tx, *self._tenant, self._who.run)
        assert run is not None
        return runs.journal_after(tx, *self._tenant, self._who.run, run["handled"])

    def _handle_news(self, entries: list[dict[str, Any]]) -> None:
        self._books = self._database.write(self._apply_news, entries)
        for entry in entries:
            if entry["kind"] == inputs.FILL:
                self._last_fill = max(self._last_fill, entry["payload"]["sequence"])

    def _apply_news(self, tx: Tx, entries: list[dict[str, Any]]) -> _Books:
        books = _Books(self._books.cash, dict(self._books.positions), dict(self._books.orders))
        effects = Effects(self._who, self._clock.now_us())
        for entry in entries:
            if entry["kind"] == inputs.FILL:
                self._apply_fill(effects, books, inputs.to_fill(entry["payload"]))
            elif entry["kind"] == inputs.ACTION:
                self._apply_action(effects, books, entry)
            else:
                self._apply_ended(effects, books, entry)
        effects.write(tx)
        if entries:
            runs.update_run(tx, *self._tenant, self._who.run, {"handled": entries[-1]["sequence"]})
        return books

    def _apply_fill(self, effects: Effects, books: _Books, fill: Fill) -> None:
        order = dict(books.orders.pop(fill.client_order_id))
        before = books.positions.get(fill.instrument, Position(fill.instrument))
        position, postings = ledger.apply_fill(before, fill, self._who.currency)
        books.positions[fill.instrument] = position
        books.cash += sum((p.amount for p in postings if p.account == "assets:cash"), ZERO)
        order["filled_units"] += fill.units
        done = order["filled_units"] == order["units"]
        order["status"] = (OrderStatus.FILLED if done else OrderStatus.ACCEPTED).value
        row_id = ids.derive("fil", *self._tenant, fill.broker_fill_id)
        effects.fill(fill, order["id"], row_id)
        effects.post(postings, row_id, position, fill.time)
        effects.order(order["id"], filled_units=order["filled_units"], status=order["status"])
        effects.told += [
            events.order_event("order.filled" if done else "order.partially_filled", order, fill.time, fill),
            events.position_changed(self._who.portfolio, position, fill.time),
        ]
        if not done:
            books.orders[fill.client_order_id] = order

    def _apply_action(self, effects: Effects, books: _Books, entry: dict[str, Any]) -> None:
        time, action = entry["time"], inputs.to_action(entry["payload"])
        before = books.positions.get(action.instrument, Position(action.instrument))
        position, postings = ledger.apply_action(before, action, self._who.currency)
        if postings:
            books.positions[action.instrument] = position
            books.cash += sum((p.amount for p in postings if p.account == "assets:cash"), ZERO)
            effects.post(postings, entry["key"], position, time)
            effects.told.append(events.action_booked(self._who.portfolio, action, before, position, time))
            if position.units != before.units:
                effects.told.append(events.position_changed(self._who.portfolio, position, time))
        for name, order in list(books.orders.items()):  # what waits at the broker is on the new terms, too
            if order["instrument"] == action.instrument and action.split != 1:
                change = {column: action.units_of(order[column]) for column in ("units", "filled_units")}
                effects.order(order["id"], **change)
                books.orders[name] = {**order, **change}

    def _apply_ended(self, effects: Effects, books: _Books, entry: dict[str, Any]) -> None:
        name, status, reason = inputs.to_ended(entry["payload"])
        order = books.orders.pop(name, None)
        if order is None:
            return
        order = {**order, "status": status.value, "reason": reason}
        effects.order(order["id"], status=status.value, reason=reason)
        effects.told.append(events.order_event(f"order.{status.value}", order, entry["time"]))

    # --- the row ------------------------------------------------------------------------------------------------------

    def _handle_row(self, closed: ClosedRow, sequence: int) -> None:
        row = closed.panel
        self._window = _joined(self._window, row)
        self._closes = _last_closes(self._closes, row)
        self._last_bars = actions.last_bars(row, self._last_bars)
        targets, issued = self._decide(row)
        self._standing = np.where(np.isnan(targets), self._standing, targets)
        if closed.late:  # it is learned from; to act on it would be to act on prices that have passed
            targets, issued = np.full(targets.shape, np.nan), []
        elif sequence == 1 or self._behind:  # a run enters where its strategy stands
            targets = self._standing
        self._behind = closed.late
        orders = self._orders(row, targets)
        scores = self._scores()
        self._books = self._database.write(self._write_row, row, closed.index, sequence, orders, issued, scores)
        self._unsent.update(order.client_order_id for order in orders)

    def _decide(self, row: Panel) -> tuple[Floats, list[dict[str, Any]]]:
        if self._issuer is None or not isinstance(self._strategy, ModelStrategy):
            return self._strategy.advance(self._state, row)[0], []
        targets, forecast = self._strategy.advance_with_forecast(self._state, row)
        schedule = self._strategy.schedule
        valid = schedule.at(int(row.times[0]))
        if valid < 0:
            return targets[0], []
        model = schedule.entries[valid].model.id
        now_us = self._clock.now_us()
        said = issue.issue(self._issuer, model, row, forecast.probability[0], forecast.expected_return[0], now_us)
        return targets[0], said

    def _orders(self, row: Panel, targets: Floats) -> list[Order]:
        held = {name: position.units for name, position in self._books.positions.items()}
        worth = (float(held[name]) * self._closes[column] for column, name in enumerate(row.ids) if held.get(name))
        equity = float(self._books.cash) + float(sum(worth))
        return sizing.orders_for(targets, self._strategy.kind, row, self._closes, held, equity, self._who.run)

    def _scores(self) -> list[dict[str, Any]]:
        if self._issuer is None:
            return []
        horizon, window, now_us = self._issuer.horizon, self._window, self._clock.now_us()
        scores: list[dict[str, Any]] = []
        for due in issue.decision_rows_due(window, horizon):
            open_signals = self._database.read(
                signal_rows.at, *self._tenant, self._who.feed_session, int(window.times[due])
            )
            for score in issue.score(open_signals, window, due, horizon, now_us):
                signal = next(s for s in open_signals if s["id"] == score["signal"])
                scores.append({**score, "_signal": signal})
        return scores

    def _write_row(
        self,
        tx: Tx,
        row: Panel,
        index: int,
        sequence: int,
        orders: list[Order],
        issued: list[dict[str, Any]],
        scores: list[dict[str, Any]],
    ) -> _Books:
        now_us, time = self._clock.now_us(), int(row.times[0])
        books = _Books(self._books.cash, self._books.positions, dict(self._books.orders))
        effects = Effects(self._who, now_us)
        effects.told += [events.signal_issued(signal) for signal in issued]
        effects.told += [events.signal_scored(score["_signal"], score) for score in scores]
        signal_rows.add(tx, issued)
        signal_rows.add_scores(tx, [{k: v for k, v in score.items() if k != "_signal"} for score in scores])
        replaced = {order.instrument for order in orders}
        for name, live in list(books.orders.items()):
            if live["instrument"] in replaced:
                books.orders[name] = {**live, "reason": events.REPLACED}
                effects.order(live["id"], reason=events.REPLACED)
        placed = [rows.order_row(self._who, order, now_us) for order in orders]
        trading.add_orders(tx, placed)
        books.orders.update({one["client_order_id"]: one for one in placed})
        effects.write(tx)
        runs.update_run(tx, *self._tenant, self._who.run, {"handled": sequence})
        progress = {"next_row": index + 1, "market_time": time, "updated_at": now_us}
        runs.update_feed_session(tx, *self._tenant, self._who.feed_session, progress)
        return books

    # --- sending ------------------------------------------------------------------------------------------------------

    def _send(self) -> None:
        """Cancel what was replaced and submit every intent; then tell what the broker answered."""
        answers: list[tuple[dict[str, Any], BrokerOrder]] = []
        for name, row in list(self._books.orders.items()):
            if row["reason"] == events.REPLACED and row["status"] == OrderStatus.ACCEPTED.value:
                cancelled = self._broker.cancel(name)
                if cancelled is not None and cancelled.status is OrderStatus.CANCELLED:
                    answers.append((row, cancelled))
        for name, row in list(self._books.orders.items()):
            if row["status"] in (OrderStatus.PENDING.value, OrderStatus.UNKNOWN.value):
                try:
                    answers.append((row, self._sent(name, row)))
                except SourceFailed:
                    self._database.write(self._mark_unknown, row)
        if answers:
            self._books = self._database.write(self._tell_answers, answers)

    def _sent(self, name: str, row: dict[str, Any]) -> BrokerOrder:
        known = None if name in self._unsent else self._broker.find(name)
        self._unsent.discard(name)  # before it is sent: from then on its fate may be unknown
        return known or self._broker.submit(_order(row))

    def _mark_unknown(self, tx: Tx, row: dict[str, Any]) -> None:
        effects = Effects(self._who, self._clock.now_us())
        effects.order(row["id"], status=OrderStatus.UNKNOWN.value)
        effects.write(tx)
        self._books.orders[row["client_order_id"]] = {**row, "status": OrderStatus.UNKNOWN.value}

    def _tell_answers(self, tx: Tx, answers: list[tuple[dict[str, Any], BrokerOrder]]) -> _Books:
        books = _Books(self._books.cash, self._books.positions, dict(self._books.orders))
        effects = Effects(self._who, self._clock.now_us())
        for row, answer in answers:
            # An order found filled was accepted before; its fill arrives as news.
            ended = answer.status in (OrderStatus.REJECTED, OrderStatus.CANCELLED) and not answer.filled_units
            status = answer.status if ended else OrderStatus.ACCEPTED
            reason = answer.reason if ended else ""
            order = {**row, "status": status.value, "reason": reason or row["reason"]}
            effects.order(row["id"], status=order["status"], reason=order["reason"])
            effects.told.append(events.order_event(f"order.{status.value}", order, row["decided_time"]))
            books.orders[row["client_order_id"]] = order
            if ended:
                books.orders.pop(row["client_order_id"])
        effects.write(tx)
        return books

    # --- rows ---------------------------------------------------------------------------------------------------------

    def _load_books(self, tx: Tx) -> _Books:
        lines = trading.list_postings(tx, *self._tenant, self._who.portfolio)
        postings = [ledger.Posting(line["account"], line["currency"], line["amount"]) for line in lines]
        balances = ledger.fold(postings, self._who.currency)
        positions = {
            name: Position(name, units, balances.cost.get(name, ZERO)) for name, units in balances.units.items()
        }
        live = trading.live_orders(tx, *self._tenant, self._who.portfolio)
        return _Books(balances.cash, positions, {row["client_order_id"]: row for row in live})

    def _end(self, tx: Tx) -> None:
        runs.update_feed_session(
            tx, *self._tenant, self._who.feed_session, {"status": "ended", "updated_at": self._clock.now_us()}
        )


def _order(row: dict[str, Any]) -> Order:
    return Order(row["client_order_id"], row["instrument"], Side(row["side"]), row["units"], row["decided_time"])


def _standing(targets: Floats, columns: int) -> Floats:
    standing = np.full(columns, np.nan)
    for column in range(columns):
        known = targets[~np.isnan(targets[:, column]), column]
        if len(known):
            standing[column] = known[-1]
    return standing


def _joined(window: Panel, row: Panel) -> Panel:
    kept = window.rows(max(0, len(window) - _WINDOW), len(window))
    return kept.followed_by(row)


def _last_closes(before: Floats, rows: Panel) -> Floats:
    closes = before.copy()
    for column in range(rows.shape[1]):
        known = rows.close[np.isfinite(rows.close[:, column]), column]
        if len(known):
            closes[column] = known[-1]
    return closes
