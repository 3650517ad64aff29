"""What the dispatcher does with each input: events in, rows and records out."""

from services.dispatcher.handlers.cases import AdvanceCases
from services.dispatcher.handlers.replies import ApplyReplies, RefuseUnreadable
from services.dispatcher.handlers.restore import RestoreCases
from services.dispatcher.handlers.timers import FireTimers

__all__ = ["AdvanceCases", "ApplyReplies", "FireTimers", "RefuseUnreadable", "RestoreCases"]
