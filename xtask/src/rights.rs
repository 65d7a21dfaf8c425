//! The rights of operators, compared with the requests that they made while the tests ran.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use cluster::Collected;
use model_registry_operator::{aihub, catalog};
use runtime::rbac::{OnlyWhen, Rights, Unused, held};

use crate::steps::root;

/// A service account that an operator runs as.
struct Account {
    /// As the audit log has it.
    user: String,
    /// The rights that its roles give it, as `kubectl auth can-i` takes them.
    held: BTreeSet<String>,
    /// Those of them that it holds because it gives them to others, whether it uses them or not.
    given: BTreeSet<String>,
    /// Rights that it holds and does not use.
    unused: &'static [Unused],
    /// Rights that it uses in races only.
    races: &'static [OnlyWhen],
}

impl From<Rights> for Account {
    fn from(rights: Rights) -> Self {
        let (namespace, name) = rights.account;
        Self {
            user: format!("system:serviceaccount:{namespace}:{name}"),
            held: held(&rights.rules()).into_iter().collect(),
            given: rights.handed_out().into_iter().collect(),
            unused: rights.unused,
            races: rights.races,
        }
    }
}

/// What each operator may be given.
pub(crate) fn all() -> [Rights; 5] {
    [
        model_registry_operator::rbac::rights(),
        catalog::rbac::rights(),
        aihub::rbac::rights(),
        trustyai_operator::rbac::rights(),
        mlflow_operator::rbac::rights(),
    ]
}

/// Where tests leave the audit logs of their clusters.
fn directory() -> PathBuf {
    root().join("target/audit")
}

/// An empty directory for the audit logs of a run of the tests.
pub(crate) fn prepare() -> Result<PathBuf> {
    let dir = directory();
    remove()?;
    fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
    Ok(dir)
}

fn remove() -> Result<()> {
    let dir = directory();
    match fs::remove_dir_all(&dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| dir.display().to_string())
        }
        _ => Ok(()),
    }
}

/// Compares the rights with the requests of the run before, and removes its logs.
pub(crate) fn check() -> Result<()> {
    let accounts = all().map(Account::from);
    let users: Vec<&str> = accounts
        .iter()
        .map(|account| account.user.as_str())
        .collect();
    let logs = Collected::read(&directory(), &users)?;
    let mut problems = Vec::new();
    for account in &accounts {
        let asked = Asked::of(&logs, &account.user);
        eprintln!(
            "{}: {} rights; {} requests used {} of them, {} are listed as not used, and {} as used in \
             races only",
            account.user,
            account.held.len(),
            asked.requests,
            asked.used.len(),
            listed(account.unused).count(),
            in_races(account.races).count(),
        );
        problems.extend(asked.problems(account));
    }
    remove()?;
    if !problems.is_empty() {
        bail!("{}", problems.join("\n"));
    }
    Ok(())
}

/// What one account asked for.
#[derive(Debug, Default)]
struct Asked {
    requests: usize,
    used: BTreeSet<String>,
    /// Refused, and no test expected it: the right, and one request.
    refused: BTreeMap<String, String>,
}

impl Asked {
    fn of(logs: &[Collected], user: &str) -> Self {
        let mut asked = Self::default();
        for log in logs {
            for record in log.log.by(user) {
                asked.requests += 1;
                let Some(right) = record.right() else {
                    continue;
                };
                if !record.is_refused() {
                    asked.used.insert(right);
                } else if !log.expects(&right) {
                    let request = format!("{}: {}", record.uri, record.message);
                    asked.refused.insert(right, request);
                }
            }
        }
        asked
    }

    /// What a person has to change, each with where.
    fn problems(&self, account: &Account) -> Vec<String> {
        let user = &account.user;
        if self.requests == 0 {
            return vec![format!(
                "no request of {user} was recorded: nothing is known of its rights"
            )];
        }
        let listed: BTreeSet<&str> = listed(account.unused).collect();
        let in_races: BTreeSet<&str> = in_races(account.races).collect();
        let idle = account
            .held
            .iter()
            .filter(|right| {
                !self.used.contains(*right)
                    && !account.given.contains(*right)
                    && !listed.contains(right.as_str())
                    && !in_races.contains(right.as_str())
            })
            .map(|right| {
                format!(
                    "{user} holds `{right}` and no test uses it: take it out of its rules, test \
                     what needs it every time, or give the reason in UNUSED or RACES"
                )
            });
        let stale = listed
            .iter()
            .filter(|right| self.used.contains(**right))
            .map(|right| format!("{user} uses `{right}`: take it out of UNUSED"));
        let twice = listed
            .intersection(&in_races)
            .map(|right| format!("{user}: `{right}` is in UNUSED and in RACES: choose one"));
        let unknown = listed
            .union(&in_races)
            .filter(|right| !account.held.contains(**right))
            .map(|right| format!("{user} does not hold `{right}`: take it out of UNUSED or RACES"));
        let refused = self.refused.iter().map(|(right, request)| {
            format!(
                "{user} was refused `{right}` ({request}): add it to its rules, or expect it in \
                 the test with Cluster::expect_refusals"
            )
        });
        idle.chain(stale)
            .chain(twice)
            .chain(unknown)
            .chain(refused)
            .collect()
    }
}

fn listed(unused: &'static [Unused]) -> impl Iterator<Item = &'static str> {
    unused
        .iter()
        .flat_map(|unused| unused.rights.iter().copied())
}

fn in_races(races: &'static [OnlyWhen]) -> impl Iterator<Item = &'static str> {
    races.iter().flat_map(|race| race.rights.iter().copied())
}

#[cfg(test)]
mod tests {
    use cluster::{AuditLog, Record};

    use super::*;

    const USER: &str = "system:serviceaccount:ns:operator";
    const UNUSED: &[Unused] = &[Unused {
        rights: &["get endpoints"],
        reason: "Handed out.",
    }];

    const RACES: &[OnlyWhen] = &[OnlyWhen {
        rights: &["get routes"],
        race: "Only when somebody made it a moment before.",
    }];

    fn account(held: &[&str]) -> Account {
        Account {
            user: USER.to_owned(),
            held: held
                .iter()
                .chain(&["get routes"])
                .map(|&right| right.to_owned())
                .collect(),
            given: BTreeSet::from(["get leases".to_owned()]),
            unused: UNUSED,
            races: RACES,
        }
    }

    fn log(requests: &[(&str, &str, u16)], expected: &[&str]) -> Collected {
        let record = |&(verb, resource, code): &(&str, &str, u16)| Record {
            user: USER.to_owned(),
            verb: verb.to_owned(),
            resource: resource.to_owned(),
            code,
            uri: format!("/api/v1/{resource}"),
            ..Record::default()
        };
        Collected {
            log: AuditLog {
                records: requests.iter().map(record).collect(),
            },
            expected: expected.iter().map(|&right| right.to_owned()).collect(),
        }
    }

    fn problems(held: &[&str], logs: &[Collected]) -> Vec<String> {
        Asked::of(logs, USER).problems(&account(held))
    }

    #[test]
    fn every_right_is_used_or_listed() {
        let logs = [
            log(&[("list", "pods", 200)], &[]),
            log(&[("watch", "pods", 200)], &[]),
        ];
        let held = ["list pods", "watch pods", "get endpoints"];
        assert_eq!(problems(&held, &logs), Vec::<String>::new());
    }

    #[test]
    fn a_right_that_nobody_uses_is_named() {
        let logs = [log(&[("list", "pods", 200)], &[])];
        let found = problems(&["list pods", "get pods", "get endpoints"], &logs);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("holds `get pods`"), "{found:?}");
    }

    #[test]
    fn a_listed_right_that_is_used_or_not_held_is_named() {
        let logs = [log(&[("get", "endpoints", 200)], &[])];
        let found = problems(&["get endpoints"], &logs);
        assert!(found[0].contains("uses `get endpoints`"), "{found:?}");
        let logs = [log(&[("list", "pods", 200)], &[])];
        let found = problems(&["list pods"], &logs);
        assert!(
            found[0].contains("does not hold `get endpoints`"),
            "{found:?}"
        );
    }

    #[test]
    fn a_refusal_counts_unless_the_test_of_that_cluster_expects_it() {
        let held = ["list pods", "get endpoints"];
        let fine = log(&[("list", "pods", 200)], &["get secrets"]);
        let expected = log(&[("get", "secrets", 403)], &["get secrets"]);
        assert_eq!(
            problems(&held, &[fine.clone(), expected]),
            Vec::<String>::new()
        );
        let all_taken = log(&[("get", "pods", 403)], &[cluster::ANY_RIGHT]);
        assert_eq!(
            problems(&held, &[fine.clone(), all_taken]),
            Vec::<String>::new()
        );
        let elsewhere = log(&[("get", "secrets", 403)], &[]);
        let found = problems(&held, &[fine, elsewhere]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("refused `get secrets`"), "{found:?}");
    }

    #[test]
    fn a_right_that_is_given_to_others_may_be_idle() {
        let fine = log(&[("list", "pods", 200)], &[]);
        let held = ["list pods", "get endpoints", "get leases"];
        assert_eq!(problems(&held, &[fine]), Vec::<String>::new());
    }

    #[test]
    fn a_right_of_races_may_be_used_or_not() {
        let list = ("list", "pods", 200);
        for requests in [vec![list], vec![list, ("get", "routes", 200)]] {
            let found = problems(&["list pods", "get endpoints"], &[log(&requests, &[])]);
            assert_eq!(found, Vec::<String>::new());
        }
        let mut account = account(&["list pods", "get endpoints"]);
        account.held.remove("get routes");
        let found = Asked::of(&[log(&[list], &[])], USER).problems(&account);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("does not hold `get routes`"), "{found:?}");
        account.held.insert("get routes".to_owned());
        account.races = &[OnlyWhen {
            rights: &["get routes", "get endpoints"],
            race: "Only when it is old.",
        }];
        let found = Asked::of(&[log(&[list], &[])], USER).problems(&account);
        assert!(found[0].contains("choose one"), "{found:?}");
    }

    #[test]
    fn a_refused_request_is_no_use_of_a_right() {
        let logs = [log(&[("list", "pods", 403)], &["list pods"])];
        let found = problems(&["list pods", "get endpoints"], &logs);
        assert!(found[0].contains("holds `list pods`"), "{found:?}");
    }

    #[test]
    fn nothing_recorded_is_a_failure() {
        let found = problems(&["get endpoints"], &[]);
        assert_eq!(found.len(), 1);
        assert!(found[0].contains("no request"), "{found:?}");
        let of_others = [Collected::default()];
        assert_eq!(problems(&["get endpoints"], &of_others).len(), 1);
    }
}
