"""The domain's tables. Times are UTC beside the station's own text (``*_raw``); units are in the names."""

from __future__ import annotations

import sqlalchemy as sa

from arthexis.db.schema import metadata
from arthexis.db.types import UtcDateTime

# The longest text of a station that a column keeps; the raw frame keeps the rest.
Id = sa.BigInteger().with_variant(sa.Integer, "sqlite")

station = sa.Table(
    "station",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("identity", sa.Text, nullable=False),
    sa.Column("identity_key", sa.Text, nullable=False, unique=True, comment="case-folded identity"),
    sa.Column("added_at", UtcDateTime, nullable=False),
    sa.Column("registration", sa.Text, comment="Accepted, Pending or Rejected; null: never booted"),
    sa.Column("held", sa.Text, comment="Pending or Rejected by an operator's word; null: none"),
    sa.Column("mode", sa.Text, comment="strict or repair; null: the node's"),
    sa.Column("zone", sa.Text, comment="IANA zone of timestamps without one; null: the node's"),
    sa.Column("ping_interval_s", sa.Float, comment="seconds of silence before a ping, 0: none; null: the node's"),
    sa.Column("key_salt", sa.LargeBinary),
    sa.Column("key_hash", sa.LargeBinary),
    sa.Column("plain", sa.Boolean, nullable=False, default=False, comment="connects without a key, by choice"),
    sa.Column("last_seen_at", UtcDateTime),
    sa.Column("booted_at", UtcDateTime),
    sa.Column("vendor", sa.Text),
    sa.Column("model", sa.Text),
    sa.Column("serial_number", sa.Text),
    sa.Column("charge_box_serial_number", sa.Text),
    sa.Column("firmware_version", sa.Text),
    sa.Column("iccid", sa.Text),
    sa.Column("imsi", sa.Text),
    sa.Column("meter_type", sa.Text),
    sa.Column("meter_serial_number", sa.Text),
)

station_key = sa.Table(
    "station_key",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("station_id", sa.ForeignKey(station.c.id), nullable=False, index=True),
    sa.Column("key_salt", sa.LargeBinary, nullable=False),
    sa.Column("key_hash", sa.LargeBinary, nullable=False),
    sa.Column("told", sa.Boolean, nullable=False, comment="the station has it, or may have it: it opens the gate"),
    sa.Column("added_at", UtcDateTime, nullable=False),
    comment="keys that a station was or is being given over its socket, until it first comes with one of them",
)

station_boot = sa.Table(
    "station_boot",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("station_id", sa.ForeignKey(station.c.id), nullable=False, index=True),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("registration", sa.Text, nullable=False),
    sa.Column("boot", sa.Text, nullable=False, comment="all fields, JSON"),
)

refused_station = sa.Table(
    "refused_station",
    metadata,
    sa.Column("identity_key", sa.Text, primary_key=True),
    sa.Column("identity", sa.Text, nullable=False),
    sa.Column("remote", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("first_at", UtcDateTime, nullable=False),
    sa.Column("last_at", UtcDateTime, nullable=False),
    sa.Column("boot", sa.Text, comment="its BootNotification, if it was let in to wait, JSON"),
)

connector = sa.Table(
    "connector",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("station_id", sa.ForeignKey(station.c.id), nullable=False),
    sa.Column("number", sa.Integer, nullable=False, comment="0 is the station itself"),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("error_code", sa.Text, nullable=False),
    sa.Column("at", UtcDateTime, comment="the station's time, where it is one to go by"),
    sa.Column("received_at", UtcDateTime, nullable=False),
    sa.UniqueConstraint("station_id", "number"),
)

connector_status = sa.Table(
    "connector_status",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("station_id", sa.ForeignKey(station.c.id), nullable=False),
    sa.Column("connector", sa.Integer, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("error_code", sa.Text, nullable=False),
    sa.Column("info", sa.Text),
    sa.Column("vendor_id", sa.Text),
    sa.Column("vendor_error_code", sa.Text),
    sa.Column("at", UtcDateTime),
    sa.Column("at_raw", sa.Text),
    sa.Column("received_at", UtcDateTime, nullable=False),
    sa.Column("repairs", sa.Text, comment="what was mended, JSON list"),
    sa.Index(None, "station_id", "connector", "id"),
)

account = sa.Table(
    "account",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    sa.Column("status", sa.Text, nullable=False),
)

tag = sa.Table(
    "tag",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("id_tag", sa.Text, nullable=False),
    sa.Column("id_tag_key", sa.Text, nullable=False, unique=True, comment="case-folded id tag"),
    sa.Column("status", sa.Text, nullable=False, comment="Accepted or Blocked"),
    sa.Column("expires_at", UtcDateTime),
    sa.Column("parent_id_tag", sa.Text),
    sa.Column("account_id", sa.ForeignKey(account.c.id)),
    sa.Column("note", sa.Text),
    sa.Column("added_at", UtcDateTime, nullable=False),
)

tag_alias = sa.Table(
    "tag_alias",
    metadata,
    sa.Column("alias_key", sa.Text, primary_key=True, comment="case-folded, and the key of no tag"),
    sa.Column("alias", sa.Text, nullable=False),
    sa.Column("tag_id", sa.ForeignKey(tag.c.id), nullable=False, index=True),
    comment="other texts under which readers and stations know a tag: turned around, or in decimal",
)
unknown_tag = sa.Table(
    "unknown_tag",
    metadata,
    sa.Column("id_tag_key", sa.Text, primary_key=True),
    sa.Column("id_tag", sa.Text, nullable=False),
    sa.Column("station", sa.Text, nullable=False),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("first_at", UtcDateTime, nullable=False),
    sa.Column("last_at", UtcDateTime, nullable=False),
)

transaction = sa.Table(
    "charging_transaction",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, comment="the OCPP transactionId, never reused"),
    sa.Column("uid", sa.Text, nullable=False, unique=True, comment="UUIDv7, for other nodes"),
    sa.Column("station_id", sa.ForeignKey(station.c.id), nullable=False),
    sa.Column("connector", sa.Integer, nullable=False),
    sa.Column("id_tag", sa.Text),
    sa.Column("id_tag_key", sa.Text),
    sa.Column("authorization", sa.Text, nullable=False, comment="the status the station was told"),
    sa.Column("id_tag_info", sa.Text, comment="the idTagInfo answered to the start, JSON"),
    sa.Column("reservation_id", sa.BigInteger),
    sa.Column("started_at", UtcDateTime),
    sa.Column("started_at_raw", sa.Text),
    sa.Column("start_received_at", UtcDateTime),
    sa.Column("meter_start_wh", sa.BigInteger),
    sa.Column("stopped_at", UtcDateTime),
    sa.Column("stopped_at_raw", sa.Text),
    sa.Column("stop_received_at", UtcDateTime),
    sa.Column("meter_stop_wh", sa.BigInteger),
    sa.Column("stop_reason", sa.Text),
    sa.Column("stop_id_tag", sa.Text),
    sa.Column("stop_answer", sa.Text, comment="the idTagInfo answered to the stop, JSON"),
    sa.Column("energy_wh", sa.BigInteger, comment="null while open and where the registers make no sense"),
    sa.Column("open", sa.Boolean, nullable=False),
    sa.Column("claimed_id", sa.BigInteger, comment="the transactionId a stop without a start named"),
    sa.Column("flags", sa.Text, nullable=False, default="[]", comment="what is odd about it, JSON list"),
    sa.Column("start_repairs", sa.Text, comment="what was mended in its start, JSON list"),
    sa.Column("stop_repairs", sa.Text, comment="what was mended in its stop, JSON list"),
    sa.Index(None, "station_id", "open", "connector"),
    sa.Index(None, "id_tag_key", "open"),
    sa.Index(None, "station_id", "claimed_id"),
    sa.Index(None, "station_id", "connector", "started_at"),
    sqlite_autoincrement=True,
)

meter_value = sa.Table(
    "meter_value",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("station_id", sa.ForeignKey(station.c.id), nullable=False),
    sa.Column("connector", sa.Integer, nullable=False),
    sa.Column("transaction_id", sa.Integer, nullable=False, comment="0: of no transaction"),
    sa.Column("claimed_id", sa.BigInteger, comment="the transactionId sent, where it is not that"),
    sa.Column("sampled_at", UtcDateTime),
    sa.Column("sampled_at_raw", sa.Text, nullable=False),
    sa.Column("received_at", UtcDateTime, nullable=False),
    sa.Column("samples", sa.Text, nullable=False, comment="the sampled values as sent, JSON list"),
    sa.Column("digest", sa.BigInteger, nullable=False),
    sa.Column("with_stop", sa.Boolean, nullable=False, comment="came as transactionData of a stop"),
    sa.Column("repairs", sa.Text, comment="what was mended in the message, JSON list"),
    sa.UniqueConstraint(
        "transaction_id", "station_id", "connector", "sampled_at_raw", "digest", name="uq_meter_value_natural"
    ),
)

message = sa.Table(
    "message",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("station", sa.Text, nullable=False),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("inbound", sa.Boolean, nullable=False, comment="called by the station"),
    sa.Column("message_id", sa.Text),
    sa.Column("action", sa.Text, comment="null: no frame that could be read"),
    sa.Column("frame", sa.LargeBinary, comment="the bytes of the CALL; null where only the answer is new"),
    sa.Column("answer", sa.LargeBinary, comment="the bytes of the CALLRESULT or CALLERROR"),
    sa.Column("repairs", sa.Text, comment="what was mended, JSON list"),
    sa.Index(None, "station", "id"),
)

reservation = sa.Table(
    "reservation",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, comment="the OCPP reservationId, never reused"),
    sa.Column("uid", sa.Text, nullable=False, unique=True, comment="UUIDv7, for other nodes"),
    sa.Column("station_id", sa.ForeignKey(station.c.id), nullable=False),
    sa.Column("connector", sa.Integer, nullable=False, comment="0: any connector of the station"),
    sa.Column("id_tag", sa.Text, nullable=False),
    sa.Column("id_tag_key", sa.Text, nullable=False),
    sa.Column("parent_id_tag", sa.Text),
    sa.Column("account_id", sa.ForeignKey(account.c.id)),
    sa.Column("starts_at", UtcDateTime, nullable=False),
    sa.Column("expires_at", UtcDateTime, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("said", sa.Text, comment="why it is in this state, where that is not plain"),
    sa.Column("transaction_id", sa.Integer, comment="the transaction that used it"),
    sa.Column("requested_by", sa.Text, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("changed_at", UtcDateTime, nullable=False),
    sa.Index(None, "station_id", "state"),
    sqlite_autoincrement=True,
)

reservation_minute = sa.Table(
    "reservation_minute",
    metadata,
    sa.Column("station_id", sa.ForeignKey(station.c.id), primary_key=True),
    sa.Column("connector", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("minute", sa.Integer, primary_key=True, autoincrement=False, comment="minutes since 1970, UTC"),
    sa.Column("reservation_id", sa.ForeignKey(reservation.c.id), nullable=False, index=True),
)

operation = sa.Table(
    "operation",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("uid", sa.Text, nullable=False, unique=True, comment="UUIDv7, for other nodes; the OCPP message id too"),
    sa.Column("batch", sa.Text, comment="the uid that operations sent to many stations at once have in common"),
    sa.Column("station_id", sa.ForeignKey(station.c.id), nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("payload", sa.Text, nullable=False, comment="the request as it goes over the wire, JSON"),
    sa.Column("state", sa.Text, nullable=False, comment="queued, sent, or how it ended"),
    sa.Column("priority", sa.Integer, nullable=False, comment="higher goes first"),
    sa.Column("requested_by", sa.Text, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("send_after", UtcDateTime, comment="not before then"),
    sa.Column("queue_until", UtcDateTime, comment="waits for an offline station until then; null: not at all"),
    sa.Column("expires_at", UtcDateTime, comment="not sent after then"),
    sa.Column("sent_at", UtcDateTime),
    sa.Column("finished_at", UtcDateTime),
    sa.Column("answer", sa.Text, comment="the station's answer verbatim, JSON"),
    sa.Column("error_code", sa.Text),
    sa.Column("error_text", sa.Text),
    sa.Column("repairs", sa.Text, comment="what was mended in the answer, JSON list"),
    sa.Column("follow_up", sa.Text, comment="what came of it afterwards; null: nothing is expected"),
    sa.Column("follow_up_at", UtcDateTime),
    sa.Column("follow_up_until", UtcDateTime, comment="awaited until then; null: over"),
    sa.Index(None, "station_id", "id"),
    sa.Index(None, "state"),
    sa.Index(None, "batch"),
)

api_token = sa.Table(
    "api_token",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    sa.Column("token_hash", sa.LargeBinary, nullable=False, unique=True),
    sa.Column("access", sa.Text, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("expires_at", UtcDateTime),
)
