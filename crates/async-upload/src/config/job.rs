//! What the pods of one Job have in common.

use super::Environment;

/// The letters and digits of which Kubernetes makes the end of a name.
const RANDOM: &str = "bcdfghjklmnpqrstvwxz2456789";

/// The length of that end.
const RANDOM_LENGTH: usize = 5;

/// What was given, else the name of the pod without its random end, else a word for a run outside a
/// cluster.
pub(crate) fn id(given: Option<&str>, environment: &Environment) -> String {
    let pod = || {
        let name = environment
            .variable("POD_NAME")
            .or_else(|| environment.variable("HOSTNAME"))?;
        Some(without_random_end(name))
    };
    given.or_else(pod).unwrap_or("local").to_owned()
}

fn without_random_end(pod: &str) -> &str {
    match pod.rsplit_once('-') {
        Some((name, end))
            if end.len() == RANDOM_LENGTH && end.chars().all(|c| RANDOM.contains(c)) =>
        {
            name
        }
        _ => pod,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_of_one_job_share_their_id() {
        assert_eq!(without_random_end("upload-llama-x7k2p"), "upload-llama");
        assert_eq!(without_random_end("upload-llama-0-x7k2p"), "upload-llama-0");
        assert_eq!(without_random_end("my-model"), "my-model");
        assert_eq!(without_random_end("laptop"), "laptop");
    }
}
