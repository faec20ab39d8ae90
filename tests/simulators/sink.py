"""An `AlertSink` that keeps what it was given."""


class RecordingSink:
    def __init__(self, capacity=1000):
        self.alerts = []
        self.statuses = []
        self.fault = None
        self.started = False
        self._capacity = capacity

    def start(self):
        self.started = True

    def submit(self, alert):
        if len(self.alerts) >= self._capacity:
            return False
        self.alerts.append(alert)
        return True

    def report(self, status):
        if not self.statuses or self.statuses[-1] != status:
            self.statuses.append(status)

    def stop(self):
        return 0
