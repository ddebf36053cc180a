"""The Celery app: settings that keep a hint a hint.

No results, no Celery retries, no ETA or countdown: SQL keeps state and time. Early acknowledgement, because recovery is by our
leases: with late ones a long task runs twice, and a killed worker loses messages all the same (measured; see docs).
"""

from __future__ import annotations

from celery import Celery
from kombu.entity import Queue

from jobs.settings import Settings
from workers import queues

app = Celery("mediamill", set_as_current=True)

app.conf.update(
    task_serializer="json",
    result_serializer="json",
    event_serializer="json",
    accept_content=["json"],
    result_backend=None,
    task_ignore_result=True,
    task_acks_late=False,
    task_reject_on_worker_lost=False,
    task_default_queue=queues.CONTROL,
    task_queues=[Queue(name) for name in queues.ALL],  # type: ignore[no-untyped-call]
    task_create_missing_queues=False,
    worker_pool="threads",
    worker_prefetch_multiplier=1,
    worker_send_task_events=True,
    task_send_sent_event=True,
    worker_hijack_root_logger=False,
    worker_redirect_stdouts=False,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    # The beat has no memory to keep: ticks are idempotent, and a file would tie it to one machine.
    beat_scheduler="celery.beat:Scheduler",
    enable_utc=True,
    timezone="UTC",
    imports=("workers.tasks",),
)

#: A tick that waited this many periods is thrown away: newer ones do the same work.
_TICK_LIFE = 10


def configure(settings: Settings) -> Celery:
    """The app, bound to this broker and this pace."""
    redis = settings.broker_url.startswith(("redis", "sentinel"))
    app.conf.update(
        broker_url=settings.broker_url,
        broker_transport_options=(
            {
                "socket_connect_timeout": 2,
                "socket_timeout": 5,
                "socket_keepalive": True,
                "health_check_interval": 10,
                # Messages are acknowledged at once; nothing of ours is ever waiting to be redelivered.
                "visibility_timeout": 3600,
            }
            if redis
            else {"connect_timeout": 5}
        ),
        beat_max_loop_interval=max(settings.tick_s, 0.05),
        beat_schedule={
            "tick": {
                "task": "control.tick",
                "schedule": settings.tick_s,
                "options": {"queue": queues.CONTROL, "expires": max(_TICK_LIFE * settings.tick_s, 5.0), "ignore_result": True},
            },
        },
    )
    return app
