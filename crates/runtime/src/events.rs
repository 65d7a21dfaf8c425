//! Events for people, in events.k8s.io. Writing them never delays or fails a reconcile.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use jiff::Timestamp;
use k8s_openapi::{
    api::{core::v1::ObjectReference, events::v1::Event},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};
use tokio::sync::mpsc;

use crate::component::Note;

/// The API server refuses longer notes.
const NOTE_LIMIT: usize = 1024;
/// An event's name is its object's name, a dot and up to 32 digits, of at most 253 bytes.
const NAME_LIMIT: usize = 253 - 33;
/// The API server refuses a longer reporting instance.
const INSTANCE_LIMIT: usize = 128;
/// Events that may wait to be written. More are dropped: they tell what the status tells too.
const QUEUE: usize = 512;

/// Writes events. Clones share one queue and one memory.
#[derive(Clone, Debug)]
pub struct Recorder {
    reporter: &'static str,
    instance: String,
    queue: mpsc::Sender<Event>,
    said: Arc<Mutex<HashMap<String, Said>>>,
}

/// The last message for each reason, per object.
type Said = HashMap<&'static str, String>;

impl Recorder {
    /// A recorder and the task that writes. `reporter` is the controller's name in the event, as
    /// `modelregistry-controller`; `instance` tells replicas apart, as the pod's name.
    #[must_use]
    pub fn new(client: Client, reporter: &'static str, instance: &str) -> Self {
        let (queue, events) = mpsc::channel(QUEUE);
        tokio::spawn(write(client, events));
        let instance = truncated(instance, INSTANCE_LIMIT).to_owned();
        Self {
            reporter,
            instance,
            queue,
            said: Arc::default(),
        }
    }

    /// Tells people about `regarding`. The same message with the same reason is not written
    /// again until [`Recorder::settled`] or another message for that reason comes between.
    pub fn publish(&self, regarding: &ObjectReference, note: &Note) {
        let uid = regarding.uid.clone().unwrap_or_default();
        if note.warning && !self.is_news(uid, note) {
            return;
        }
        let event = self.event(regarding, note, Timestamp::now());
        if self.queue.try_send(event).is_err() {
            tracing::debug!(
                reason = note.reason,
                "an event was dropped: the queue is full"
            );
        }
    }

    /// The object is well: a warning that comes later is news again. Call it also when the
    /// object is gone, so that nothing of it is remembered.
    pub fn settled(&self, uid: &str) {
        self.said
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(uid);
    }

    fn is_news(&self, uid: String, note: &Note) -> bool {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let last = said
            .entry(uid)
            .or_default()
            .insert(note.reason, note.message.clone());
        last.as_ref() != Some(&note.message)
    }

    fn event(&self, regarding: &ObjectReference, note: &Note, now: Timestamp) -> Event {
        let name = regarding.name.as_deref().unwrap_or(self.reporter);
        let name = truncated(name, NAME_LIMIT).trim_end_matches(['.', '-']);
        Event {
            metadata: ObjectMeta {
                name: Some(format!("{name}.{:x}", now.as_nanosecond())),
                // Events about cluster-scoped objects live in `default`, as those of kubectl.
                namespace: Some(
                    regarding
                        .namespace
                        .clone()
                        .unwrap_or_else(|| "default".to_owned()),
                ),
                ..ObjectMeta::default()
            },
            action: Some(note.action.to_owned()),
            reason: Some(note.reason.to_owned()),
            note: Some(truncated(&note.message, NOTE_LIMIT).to_owned()),
            type_: Some(if note.warning { "Warning" } else { "Normal" }.to_owned()),
            event_time: Some(MicroTime(now)),
            regarding: Some(regarding.clone()),
            reporting_controller: Some(self.reporter.to_owned()),
            reporting_instance: Some(self.instance.clone()),
            ..Event::default()
        }
    }
}

/// Writes until every recorder is gone. A failure is logged only: the status says the same.
async fn write(client: Client, mut events: mpsc::Receiver<Event>) {
    while let Some(event) = events.recv().await {
        let namespace = event.metadata.namespace.clone().unwrap_or_default();
        let api: Api<Event> = Api::namespaced(client.clone(), &namespace);
        if let Err(error) = api.create(&PostParams::default(), &event).await {
            tracing::warn!(
                %error,
                namespace,
                reason = event.reason.as_deref().unwrap_or_default(),
                "an event could not be written"
            );
        }
    }
}

/// The longest beginning of at most `limit` bytes that ends between characters.
fn truncated(text: &str, limit: usize) -> &str {
    text.get(..text.floor_char_boundary(limit)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorder() -> (Recorder, mpsc::Receiver<Event>) {
        let (queue, events) = mpsc::channel(8);
        let recorder = Recorder {
            reporter: "modelregistry-controller",
            instance: "pod-1".to_owned(),
            queue,
            said: Arc::default(),
        };
        (recorder, events)
    }

    fn reference() -> ObjectReference {
        ObjectReference {
            name: Some("sample".to_owned()),
            namespace: Some("ns".to_owned()),
            uid: Some("u1".to_owned()),
            ..ObjectReference::default()
        }
    }

    fn warning(message: &str) -> Note {
        Note {
            warning: true,
            reason: "Failed",
            action: "Reconcile",
            message: message.to_owned(),
        }
    }

    fn count(events: &mut mpsc::Receiver<Event>) -> usize {
        std::iter::from_fn(|| events.try_recv().ok()).count()
    }

    #[test]
    fn an_unchanged_failure_is_told_once() {
        let (recorder, mut events) = recorder();
        for _ in 0..3 {
            recorder.publish(&reference(), &warning("no database"));
        }
        assert_eq!(count(&mut events), 1);
        recorder.publish(&reference(), &warning("no password"));
        recorder.publish(&reference(), &warning("no database"));
        assert_eq!(count(&mut events), 2);
        recorder.settled("u1");
        recorder.publish(&reference(), &warning("no database"));
        assert_eq!(count(&mut events), 1);
    }

    #[test]
    fn good_news_is_told_each_time() {
        let (recorder, mut events) = recorder();
        let note = Note {
            warning: false,
            ..warning("updated Deployment sample")
        };
        recorder.publish(&reference(), &note);
        recorder.publish(&reference(), &note);
        assert_eq!(count(&mut events), 2);
    }

    #[test]
    fn a_full_queue_drops_and_does_not_wait() {
        let (recorder, mut events) = recorder();
        for n in 0..20 {
            recorder.publish(&reference(), &warning(&n.to_string()));
        }
        assert_eq!(count(&mut events), 8);
    }

    #[test]
    fn an_event_keeps_the_limits_of_the_server() {
        let (recorder, _events) = recorder();
        let long = ObjectReference {
            name: Some("a".repeat(253)),
            namespace: None,
            ..reference()
        };
        let event = recorder.event(&long, &warning(&"ü".repeat(1000)), Timestamp::UNIX_EPOCH);
        assert!(event.metadata.name.unwrap().len() <= 253);
        assert_eq!(event.metadata.namespace.as_deref(), Some("default"));
        assert_eq!(event.note.unwrap().len(), 1024);
        assert_eq!(event.type_.as_deref(), Some("Warning"));
        assert_eq!(
            event.reporting_controller.as_deref(),
            Some("modelregistry-controller")
        );
        assert_eq!(event.reporting_instance.as_deref(), Some("pod-1"));
    }
}
