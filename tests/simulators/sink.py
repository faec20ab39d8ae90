"""An `AlertSink` that keeps what it was given."""

EPOCH = "00000000-0000-7000-8000-000000000000"


class RecordingSink:
    def __init__(self, capacity=1000):
        self.alerts = []
        self.records = []
        self.statuses = []
        self.fault = None
        self.alarms = []
        self.alive = True
        self.started = False
        self._capacity = capacity

    def start(self):
        self.started = True

    def submit(self, draft):
        if len(self.alerts) >= self._capacity:
            return False
        self.alerts.append(draft.numbered(EPOCH, len(self.alerts) + 1, draft.captured_at))
        return True

    def submit_record(self, record):
        self.records.append(record)
        return True

    def report(self, status):
        if not self.statuses or self.statuses[-1] != status:
            self.statuses.append(status)

    def stop(self):
        return 0
