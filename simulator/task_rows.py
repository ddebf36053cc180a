"""A task as the gateway's own task table has it, around the vendor's answer: ``{code: "success", message, data}``.

Where the gateway answers polls from its table, the vendor's object stands in ``data.data``.
Source: runway.md section 1 shape B (QuantumNous/new-api task layer); suno.md section 0.1 has the same row.
"""

from __future__ import annotations

from typing import Any

from simulator.tasks import FINAL, Phase, View


def row_answer(view: View, action: str, **more: Any) -> dict[str, Any]:
    """The row of this task. `more` replaces and adds members, such as ``data`` or ``result_url``."""
    task = view.task
    row = {
        "task_id": task.id,
        "action": action,
        "status": view.strange_word or _status(view),
        "fail_reason": task.failure if view.phase is Phase.FAILED else "",
        "submit_time": int(task.created_at),
        "start_time": 0 if view.phase is Phase.SUBMITTED else int(task.begins_at),
        "finish_time": int(task.ends_at) if view.phase in FINAL else 0,
        "progress": f"{int(view.progress * 10) * 10}%",
    }
    return {"code": "success", "message": "", "data": row | more}


def _status(view: View) -> str:
    match view.phase:
        case Phase.SUCCEEDED:
            return "SUCCESS"
        case Phase.FAILED:
            return "FAILURE"
        case Phase.PROCESSING:
            return "IN_PROGRESS" if view.progress >= 0.25 else "QUEUED"
        case _:
            return "SUBMITTED"
