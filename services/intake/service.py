"""Composition root of intake: was it received, and what proves it?"""

from services.intake.api import make_actions_router, make_router
from services.intake.domain.actions import Action
from services.intake.domain.filing import Submission
from services.intake.handlers import AcceptActions, AcceptSubmissions, Outcome, restore
from services.intake.settings import IntakeSettings
from services.intake.store import IntakeQueries
from shared.contracts.reference import AccessCodes
from shared.database.group_commit import GroupCommit
from shared.runtime.service import Parts, Platform, run_service


def main() -> None:
    """Runs intake until it is told to stop."""
    settings = IntakeSettings()
    keys = {key_id: bytes.fromhex(secret) for key_id, secret in settings.access_code_keys.items()}
    codes = AccessCodes(keys, current=list(keys)[-1])

    def build(platform: Platform) -> Parts:
        commits: GroupCommit[Submission, Outcome] = GroupCommit(AcceptSubmissions(platform.outbox))
        actions: GroupCommit[Action, bool] = GroupCommit(AcceptActions(platform.outbox))
        queries = IntakeQueries(platform.database)
        return Parts(
            routers=[
                make_router(commits, platform.clock, codes),
                make_actions_router(actions, queries, platform.clock, codes),
            ],
            tasks=[commits.run_until, actions.run_until],
            restore=restore,
            works_without_kafka=True,
        )

    run_service("intake", settings, build)


if __name__ == "__main__":
    main()
