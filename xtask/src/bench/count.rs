//! Requests of one user, counted from the audit log. Pure.

use std::collections::{BTreeMap, BTreeSet};

use cluster::Record;
use serde::Serialize;

/// What a user asked of the API server in some time.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Count {
    /// Requests that count, by verb; writes of a status are `patch status` and the like.
    pub(crate) verbs: BTreeMap<String, usize>,
    /// The same, by verb and resource: `create services`.
    pub(crate) targets: BTreeMap<String, usize>,
    /// Those of them that were refused, by verb, resource and HTTP status.
    pub(crate) refused: BTreeMap<String, usize>,
    /// Watches that were opened.
    pub(crate) watches: usize,
    /// Requests for the Lease.
    pub(crate) leases: usize,
    /// Reviews of tokens and of access, which a scrape of metrics causes.
    pub(crate) reviews: usize,
    /// Events that were written.
    pub(crate) events: usize,
    /// Objects that were created.
    pub(crate) objects: usize,
    /// Objects of others that were read by name.
    pub(crate) references: usize,
}

impl Count {
    /// Counts these requests.
    pub(crate) fn of<'a>(records: impl IntoIterator<Item = &'a Record>) -> Self {
        let mut count = Self::default();
        let mut created = BTreeSet::new();
        let mut read = BTreeSet::new();
        for record in records {
            match class(record) {
                Class::Watch => count.watches += 1,
                Class::Lease => count.leases += 1,
                Class::Review => count.reviews += 1,
                Class::Event => count.events += 1,
                Class::Work => {
                    count.add(record);
                    let object = (
                        &record.group,
                        &record.resource,
                        &record.namespace,
                        &record.name,
                    );
                    if record.verb == "get" && !record.name.is_empty() {
                        read.insert(object);
                    } else if is_creation(record) {
                        created.insert(object);
                    }
                }
            }
        }
        count.objects = created.len();
        count.references = read.difference(&created).count();
        count
    }

    fn add(&mut self, record: &Record) {
        let Record {
            verb,
            resource,
            subresource,
            code,
            ..
        } = record;
        let slash = |text: &str, mark| {
            if subresource.is_empty() {
                text.to_owned()
            } else {
                format!("{text}{mark}{subresource}")
            }
        };
        let thing = match resource.as_str() {
            "" => record.uri.split('?').next().unwrap_or_default().to_owned(),
            resource => slash(resource, '/'),
        };
        let target = format!("{verb} {thing}");
        if *code >= 400 {
            *self.refused.entry(format!("{target} {code}")).or_default() += 1;
        }
        *self.verbs.entry(slash(verb, ' ')).or_default() += 1;
        *self.targets.entry(target).or_default() += 1;
    }

    /// All requests but those counted apart.
    pub(crate) fn work(&self) -> usize {
        self.verbs.values().sum()
    }

    /// What this many resources may cost: their objects, three more each (finalizer, status twice),
    /// and one GET for each object that they refer to.
    pub(crate) fn allowed(&self, resources: usize) -> usize {
        self.objects + 3 * resources + self.references
    }
}

enum Class {
    Work,
    Watch,
    Lease,
    Review,
    Event,
}

fn class(record: &Record) -> Class {
    match (record.group.as_str(), record.resource.as_str()) {
        _ if record.verb == "watch" => Class::Watch,
        ("coordination.k8s.io", "leases") => Class::Lease,
        ("authentication.k8s.io", "tokenreviews")
        | ("authorization.k8s.io", "subjectaccessreviews") => Class::Review,
        ("" | "events.k8s.io", "events") => Class::Event,
        _ => Class::Work,
    }
}

/// Whether an object came into being by this request: a POST, or an apply of what was not there.
pub(crate) fn is_creation(record: &Record) -> bool {
    record.code == 201
        && record.subresource.is_empty()
        && matches!(record.verb.as_str(), "create" | "patch")
        && matches!(class(record), Class::Work)
        && record.group != "authorization.k8s.io"
}

#[cfg(test)]
pub(crate) mod tests {
    use cluster::AuditLog;

    use super::*;

    /// `verb group/resource/subresource name code`, one a line; `-` for nothing.
    pub(crate) fn records(text: &str) -> Vec<Record> {
        let record = |line: &str| {
            let words: Vec<&str> = line
                .split_whitespace()
                .map(|word| if word == "-" { "" } else { word })
                .collect();
            let path: Vec<&str> = words[1].split('/').collect();
            Record {
                user: "u".to_owned(),
                verb: words[0].to_owned(),
                group: path[0].to_owned(),
                resource: path[1].to_owned(),
                subresource: path.get(2).unwrap_or(&"").to_string(),
                namespace: "bench-registries".to_owned(),
                name: words[2].to_owned(),
                code: words[3].parse().unwrap(),
                uri: "/apis?x=y".to_owned(),
                ..Record::default()
            }
        };
        text.lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .map(record)
            .collect()
    }

    #[test]
    fn what_counts_apart_is_not_work() {
        let log = AuditLog {
            records: records(
                "watch apps/deployments - 200
                 update coordination.k8s.io/leases l 200
                 create authentication.k8s.io/tokenreviews - 201
                 create authorization.k8s.io/subjectaccessreviews - 201
                 create events.k8s.io/events e 201
                 create /events e 201",
            ),
        };
        let count = Count::of(log.by("u"));
        assert_eq!(count.work(), 0);
        assert_eq!(count.objects, 0);
        let apart = (count.watches, count.leases, count.reviews, count.events);
        assert_eq!(apart, (1, 1, 2, 2));
    }

    #[test]
    fn work_is_counted_by_verb_and_by_target() {
        let records = records(
            "create /services a 201
             create /services b 409
             create rbac.authorization.k8s.io/roles a 201
             create authorization.k8s.io/selfsubjectrulesreviews - 201
             patch apps/deployments a 201
             patch apps/deployments a 200
             patch modelregistry.opendatahub.io/modelregistries/status a 200
             get /secrets password 200
             get /secrets password 200
             get /services a 200
             get -/ - 200",
        );
        let count = Count::of(&records);
        assert_eq!(count.work(), 11);
        assert_eq!(count.verbs["create"], 4);
        assert_eq!(count.verbs["patch"], 2);
        assert_eq!(count.verbs["patch status"], 1);
        assert_eq!(count.targets["patch modelregistries/status"], 1);
        assert_eq!(count.targets["get /apis"], 1);
        assert_eq!(
            count.refused,
            BTreeMap::from([("create services 409".to_owned(), 1)])
        );
        // A service, a role and a deployment; the password is somebody else's.
        assert_eq!((count.objects, count.references), (3, 1));
        assert_eq!(count.allowed(1), 7);
    }
}
