//! Why a Job failed, in words for people, and whether another try may help.

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::{Job, JobCondition};
use k8s_openapi::api::core::v1::{ContainerStateTerminated, Pod};
use kube::ResourceExt;
use runtime::workload::pods::{all_statuses, container};

use super::names::{CONTAINER, Role};

/// Most characters of what a container said at its end that are repeated in a condition.
const LONGEST: usize = 1000;

/// Codes of the script after which the same run fails again.
pub const TERMINAL: std::ops::RangeInclusive<i32> = 10..=14;

/// How a Job failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// When it did.
    pub at: Timestamp,
    /// Exit code of the container, where one is known.
    pub code: Option<i32>,
    /// The Job was ended at its deadline.
    pub overdue: bool,
    /// Why.
    pub message: String,
}

impl Failure {
    /// Whether the same run would fail again, until somebody changes something. What takes too long to
    /// migrate is not begun anew: MySQL keeps half of it, and somebody has to look. A look beforehand
    /// harms nobody.
    #[must_use]
    pub fn is_terminal(&self, role: Role) -> bool {
        let is_final = self.code.is_some_and(|code| TERMINAL.contains(&code));
        is_final || (self.overdue && role == Role::Migrate)
    }
}

/// How this Job failed, by its own words and those of its pods; `None` while it has not. `version` is
/// what the image should have, `now` stands in for a time that is missing.
#[must_use]
pub fn of(job: &Job, pods: &[Pod], version: &str, now: Timestamp) -> Option<Failure> {
    let failed = condition(job, "Failed")?;
    let overdue = is_overdue(failed);
    // How a container ends that is told to says nothing.
    let ended = newest(job, pods).and_then(ended).filter(|_| !overdue);
    Some(Failure {
        at: failed.last_transition_time.as_ref().map_or(now, |t| t.0),
        code: ended.map(|ended| ended.exit_code),
        overdue,
        message: ended.map_or_else(|| said(job, failed), |ended| explained(ended, version)),
    })
}

/// Whether the Job was ended at its deadline.
fn is_overdue(failed: &JobCondition) -> bool {
    failed.reason.as_deref() == Some("DeadlineExceeded")
}

/// The condition of a Job of this type, where it is True.
pub(super) fn condition<'a>(job: &'a Job, type_: &str) -> Option<&'a JobCondition> {
    let conditions = job.status.as_ref()?.conditions.iter().flatten();
    conditions
        .into_iter()
        .find(|condition| condition.type_ == type_ && condition.status == "True")
}

/// The last pod that the Job made.
fn newest<'a>(job: &Job, pods: &'a [Pod]) -> Option<&'a Pod> {
    let name = job.name_any();
    pods.iter()
        .filter(|pod| job_of(pod) == Some(name.as_str()))
        .max_by_key(|pod| {
            let started = pod
                .status
                .as_ref()
                .and_then(|status| status.start_time.as_ref());
            (started.map(|time| time.0), pod.name_any())
        })
}

/// Name of the Job that made this pod.
pub(super) fn job_of(pod: &Pod) -> Option<&str> {
    let labels = pod.metadata.labels.as_ref()?;
    let keys = ["batch.kubernetes.io/job-name", "job-name"];
    keys.iter()
        .find_map(|key| labels.get(*key))
        .map(String::as_str)
}

/// How the container ended, or else one that came before or beside it.
fn ended(pod: &Pod) -> Option<&ContainerStateTerminated> {
    let main = container(pod, CONTAINER).into_iter();
    main.chain(all_statuses(pod))
        .filter_map(|status| status.state.as_ref()?.terminated.as_ref())
        .find(|ended| ended.exit_code != 0)
}

/// What the end of a container means.
fn explained(ended: &ContainerStateTerminated, version: &str) -> String {
    let code = ended.exit_code;
    let text = match code {
        10 => format!("migration image reports an unexpected MLflow version; expected {version}"),
        11 => "operator-managed migration only supports SQL backend store URIs".to_owned(),
        12 => "operator-managed migration only supports SQL registry store URIs".to_owned(),
        13 => "migration completed but the resulting schema revision does not match the image's \
               Alembic head"
            .to_owned(),
        14 => "migration failed because Alembic could not resolve the schema revision graph"
            .to_owned(),
        15 => "migration failed due to a retryable database or migration error".to_owned(),
        _ => match ended.reason.as_deref() {
            // What a kubelet says of every code but 0.
            None | Some("" | "Error") => {
                format!("migration Job container exited with code {code}")
            }
            Some(reason) => format!("migration Job container exited with code {code}: {reason}"),
        },
    };
    let said = ended.message.as_deref().map(redacted).unwrap_or_default();
    match said.trim() {
        "" => text,
        said => format!("{text}: {}", shortened(said)),
    }
}

/// Without a pod that says more: what the Job says of itself.
fn said(job: &Job, failed: &JobCondition) -> String {
    if is_overdue(failed) {
        return "it had not ended at its deadline, and was ended; see what held up its pod or the \
                database, and set spec.migration.activeDeadlineSeconds where a migration takes longer"
            .to_owned();
    }
    let text = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    text(&failed.message)
        .or_else(|| text(&failed.reason))
        .map_or_else(
            || {
                let attempts = job.status.as_ref().and_then(|status| status.failed);
                format!(
                    "migration Job failed after {} attempts",
                    attempts.unwrap_or_default()
                )
            },
            |text| redacted(&text),
        )
}

/// `text` with `***` in place of what stands before the `@` of a URL. The script hides every password
/// that it knows; this is for what containers say that somebody else wrote.
fn redacted(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        clean.push_str(before);
        clean.push_str("://");
        let end = after.find(|c: char| c.is_whitespace() || "'\"<>".contains(c));
        let (url, others) = after.split_at(end.unwrap_or(after.len()));
        match url.rsplit_once('@') {
            Some((_, host)) => {
                clean.push_str("***@");
                clean.push_str(host);
            }
            None => clean.push_str(url),
        }
        rest = others;
    }
    clean.push_str(rest);
    clean
}

/// The beginning, within [`LONGEST`] characters.
fn shortened(text: &str) -> String {
    let mut short: String = text.chars().take(LONGEST).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::needless_pass_by_value,
        reason = "cases read better with values in place"
    )]

    use serde_json::{Value, json};

    use super::*;

    const NOW: &str = "2026-01-02T03:04:05Z";

    fn now() -> Timestamp {
        NOW.parse().unwrap()
    }

    fn job(failed: Value) -> Job {
        serde_json::from_value(json!({"metadata": {"name": "j"}, "status": {
            "failed": 4, "conditions": [failed]}}))
        .unwrap()
    }

    fn failed() -> Job {
        job(
            json!({"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded",
            "message": "Job has reached the specified backoff limit",
            "lastTransitionTime": "2026-01-02T03:00:00Z"}),
        )
    }

    fn pod(name: &str, started: &str, statuses: Value) -> Pod {
        serde_json::from_value(
            json!({"metadata": {"name": name, "labels": {"job-name": "j"}},
            "status": {"startTime": started, "containerStatuses": statuses}}),
        )
        .unwrap()
    }

    fn ending(name: &str, terminated: Value) -> Value {
        json!({"name": name, "ready": false, "restartCount": 0, "image": "i", "imageID": "i",
            "state": {"terminated": terminated}})
    }

    fn exit(code: i32) -> Failure {
        let ended = ending(CONTAINER, json!({"exitCode": code, "reason": "Error"}));
        of(&failed(), &[pod("p", NOW, json!([ended]))], "3.14.0", now()).unwrap()
    }

    #[test]
    fn a_job_without_the_condition_has_not_failed() {
        let waiting = job(json!({"type": "FailureTarget", "status": "True"}));
        assert_eq!(of(&waiting, &[], "3.14.0", now()), None);
        let not = job(json!({"type": "Failed", "status": "False"}));
        assert_eq!(of(&not, &[], "3.14.0", now()), None);
        assert_eq!(of(&Job::default(), &[], "3.14.0", now()), None);
    }

    #[test]
    fn every_exit_code_has_its_sentence_and_10_to_14_are_final() {
        let table = (9..=16).chain([137]).map(exit);
        let lines: Vec<String> = table
            .map(|failure| {
                let kind = if failure.is_terminal(Role::Migrate) {
                    "terminal"
                } else {
                    "retry"
                };
                format!("{} {kind}: {}", failure.code.unwrap(), failure.message)
            })
            .collect();
        insta::assert_snapshot!(lines.join("\n"), @r"
        9 retry: migration Job container exited with code 9
        10 terminal: migration image reports an unexpected MLflow version; expected 3.14.0
        11 terminal: operator-managed migration only supports SQL backend store URIs
        12 terminal: operator-managed migration only supports SQL registry store URIs
        13 terminal: migration completed but the resulting schema revision does not match the image's Alembic head
        14 terminal: migration failed because Alembic could not resolve the schema revision graph
        15 retry: migration failed due to a retryable database or migration error
        16 retry: migration Job container exited with code 16
        137 retry: migration Job container exited with code 137
        ");
    }

    #[test]
    fn a_killed_container_says_by_what() {
        let ended = ending(CONTAINER, json!({"exitCode": 137, "reason": "OOMKilled"}));
        let failure = of(&failed(), &[pod("p", NOW, json!([ended]))], "3.14.0", now()).unwrap();
        assert_eq!(
            failure.message,
            "migration Job container exited with code 137: OOMKilled"
        );
        assert!(!failure.is_terminal(Role::Migrate));
        assert_eq!(failure.at.to_string(), "2026-01-02T03:00:00Z");
    }

    #[test]
    fn the_last_pod_counts_and_its_own_container_before_others() {
        let first = ending(CONTAINER, json!({"exitCode": 15}));
        let other = ending("istio-proxy", json!({"exitCode": 1}));
        let last = ending(CONTAINER, json!({"exitCode": 11}));
        let pods = [
            pod("b", "2026-01-02T03:00:00Z", json!([first])),
            pod("a", "2026-01-02T03:01:00Z", json!([other.clone(), last])),
        ];
        assert_eq!(of(&failed(), &pods, "3", now()).unwrap().code, Some(11));
        let pods = [pod("a", NOW, json!([other]))];
        assert_eq!(of(&failed(), &pods, "3", now()).unwrap().code, Some(1));
    }

    #[test]
    fn pods_of_other_jobs_say_nothing() {
        let mut pod = pod(
            "p",
            NOW,
            json!([ending(CONTAINER, json!({"exitCode": 11}))]),
        );
        pod.metadata.labels = Some([("job-name".to_owned(), "other".to_owned())].into());
        let failure = of(&failed(), &[pod], "3", now()).unwrap();
        assert_eq!(failure.code, None);
        assert_eq!(
            failure.message,
            "Job has reached the specified backoff limit"
        );
        assert!(!failure.is_terminal(Role::Migrate));
    }

    #[test]
    fn a_migration_at_its_deadline_waits_for_somebody_and_a_look_is_repeated() {
        let overdue = job(
            json!({"type": "Failed", "status": "True", "reason": "DeadlineExceeded",
            "message": "Job was active longer than specified deadline"}),
        );
        let killed = ending(CONTAINER, json!({"exitCode": 143, "reason": "Error"}));
        let failure = of(&overdue, &[pod("p", NOW, json!([killed]))], "3", now()).unwrap();
        assert!(failure.is_terminal(Role::Migrate) && !failure.is_terminal(Role::Check));
        assert_eq!(failure.code, None);
        let message = failure.message;
        assert!(
            message.contains("spec.migration.activeDeadlineSeconds"),
            "{message}"
        );
    }

    #[test]
    fn without_words_the_attempts_are_told() {
        let job = job(json!({"type": "Failed", "status": "True"}));
        let failure = of(&job, &[], "3", now()).unwrap();
        assert_eq!(failure.message, "migration Job failed after 4 attempts");
        assert_eq!(failure.at, now());
    }

    #[test]
    fn what_a_container_said_is_repeated_without_passwords_and_not_at_length() {
        let said = format!(
            "cannot reach postgresql+psycopg2://u:p/a@ss@db:5432/x, or 'mysql://a:b@h' {}",
            "é".repeat(2000)
        );
        let ended = ending(CONTAINER, json!({"exitCode": 15, "message": said}));
        let failure = of(&failed(), &[pod("p", NOW, json!([ended]))], "3", now()).unwrap();
        let message = failure.message;
        assert!(
            message.starts_with(
                "migration failed due to a retryable database or migration error: cannot reach \
             postgresql+psycopg2://***@db:5432/x, or 'mysql://***@h' éé"
            ),
            "{message}"
        );
        assert!(message.ends_with('…') && message.chars().count() < LONGEST + 100);
    }

    #[test]
    fn texts_without_accounts_stay() {
        for text in [
            "",
            "a@b",
            "https://host/path",
            "see https://h/ and mail a@b",
        ] {
            assert_eq!(redacted(text), text);
        }
    }
}
