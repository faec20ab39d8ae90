"""What a broker's answer to a message means (MQTT 5, 3.4.2.1), one by one, in sentences.

No answer loses an alert: what was not taken is sent again. A message is never the fault of one
alert, since all are cells of one size, so that there is nothing to throw away.
"""

FAILURE = 128
"""Reason codes from here on are refusals."""
NO_SUBSCRIBER = 16
"""Taken, but nobody has subscribed."""
_ADVICE = {
    NO_SUBSCRIBER: "Nobody has subscribed to this device's alerts: start the desk's gateway.",
    128: "The broker refuses alerts without a reason: read its log.",
    131: "The broker refuses alerts for a reason of its own: read its log.",
    135: (
        "The broker refuses alerts, this device may not publish them: check its ACL and the "
        "certificate's name."
    ),
    144: "The broker refuses the topic of alerts: check device.site, device.id and its rules.",
    145: "The broker says that a message's number is in use; it goes again.",
    151: "The broker's quota is used up: raise its queue limits, or start the desk's gateway.",
    153: "The broker refuses the format of alerts: it must pass any bytes.",
}


def is_taken(code: int) -> bool:
    """True when the broker has taken the message and somebody has subscribed."""
    return code != NO_SUBSCRIBER and code < FAILURE


def explain_code(code: int, reason: str) -> str | None:
    """Return what is wrong, and that alerts wait; None when nothing is."""
    if is_taken(code):
        return None
    advice = _ADVICE.get(code, "The broker refuses alerts: read its log.")
    return f"{advice} ({reason}) Alerts wait."
