//! One run: the model registry is asked, the model moves, it is signed, and it is registered.

use std::fmt;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::failure::Failure;
use crate::pod::progress::Reporter;
use crate::pod::termination::{Done, Failed};
use crate::registry::Registrar;
use crate::settings::Destination;
use crate::sign::{SIGNATURE_FILE, Signer};
use crate::transfer::{self, ExtraFile, Outcome, Progress};

/// How long what was begun may take to end after a signal. With [`LAST_REQUEST`] it stays within
/// the 30 seconds that Kubernetes gives a pod.
const GRACE: Duration = Duration::from_secs(10);

/// How long the model registry has to hear that the run failed, after a signal.
const LAST_REQUEST: Duration = Duration::from_secs(10);

/// Why a run ended without a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// It failed.
    Failed(Failed),
    /// It was told to stop.
    Stopped,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(failed) => failed.fmt(f),
            Self::Stopped => f.write_str(
                "stopped by a signal before the model was registered. A retry of the Job continues.",
            ),
        }
    }
}

/// Does all of it. An artifact that was PENDING becomes ABANDONED if the run does not reach its end.
pub async fn run(config: &Config, cancel: &CancellationToken) -> Result<Done, End> {
    let started = Instant::now();
    let registrar = Registrar::new(
        &config.registry,
        config.intent.clone(),
        config.transfer.retries,
    )
    .map_err(in_phase("read settings"))?;
    let work = async {
        let outcome = Box::pin(transfer(config, &registrar, cancel)).await?;
        let register = registrar.finish(&outcome.uri, outcome.digest.as_deref());
        let ids = unless(cancel, GRACE, async {
            register.await.map_err(in_phase("register model"))
        })
        .await?;
        Ok((outcome, ids))
    };
    match Box::pin(work).await {
        Ok((outcome, ids)) => Ok(Done {
            intent: config.intent.name(),
            ids,
            uri: outcome.uri,
            digest: outcome.digest,
            bytes: outcome.bytes,
            sent: outcome.sent,
            seconds: started.elapsed().as_secs_f64(),
        }),
        Err(end) => {
            abandon(&registrar, cancel).await;
            Err(end)
        }
    }
}

/// Moves and signs.
async fn transfer(
    config: &Config,
    registrar: &Registrar,
    cancel: &CancellationToken,
) -> Result<Outcome, End> {
    let (progress, shown) = watch::channel(Progress::default());
    let reporter = Reporter::start(shown);
    // All of these ask servers and wait; none of them moves anything.
    let prepare = async {
        let (signer, ()) = tokio::try_join!(signer(config), async {
            registrar
                .look()
                .await
                .map_err(in_phase("ask model registry"))
        })?;
        registrar
            .begin()
            .await
            .map_err(in_phase("ask model registry"))?;
        Ok(signer)
    };
    // Whoever cannot sign or register hears of that first; what is wrong with the model is told
    // when the artifact can be said to have failed.
    let look = async { Ok(transfer::look(&config.transfer, &progress).await) };
    let both = Box::pin(async { tokio::try_join!(prepare, look) });
    let (signer, found) = unless(cancel, Duration::ZERO, both).await?;
    let found = found.map_err(from_transfer)?;
    let moved = unless(cancel, GRACE, async {
        let uploaded = Box::pin(found.upload(cancel))
            .await
            .map_err(from_transfer)?;
        let extra = match &signer {
            Some(signer) => vec![ExtraFile {
                path: SIGNATURE_FILE.to_owned(),
                content: signer
                    .sign_model(uploaded.files())
                    .await
                    .map_err(in_phase("sign model"))?,
            }],
            None => Vec::new(),
        };
        Box::pin(uploaded.commit(extra))
            .await
            .map_err(from_transfer)
    })
    .await;
    drop(reporter);
    let outcome = moved?;
    if let (Some(signer), Some(digest), Destination::Oci(oci)) =
        (&signer, &outcome.digest, &config.transfer.destination)
    {
        unless(cancel, Duration::ZERO, async {
            let result = signer.sign_image(&oci.image, digest).await;
            result.map_err(in_phase("sign image"))
        })
        .await?;
    }
    Ok(outcome)
}

/// What signs, if anything does.
async fn signer(config: &Config) -> Result<Option<Signer>, End> {
    match &config.signing {
        Some(signing) => {
            let signer = Signer::new(signing).await;
            signer.map(Some).map_err(in_phase("prepare signing"))
        }
        None => Ok(None),
    }
}

/// Waits for `work`, and after a signal no longer than `grace`.
async fn unless<T>(
    cancel: &CancellationToken,
    grace: Duration,
    work: impl Future<Output = Result<T, End>>,
) -> Result<T, End> {
    tokio::pin!(work);
    let result = tokio::select! {
        biased;
        result = &mut work => result,
        () = cancel.cancelled() => {
            let late = tokio::time::timeout(grace, work).await;
            late.unwrap_or(Err(End::Stopped))
        }
    };
    // What fails after a signal fails because of it.
    result.map_err(|end| {
        if cancel.is_cancelled() {
            End::Stopped
        } else {
            end
        }
    })
}

/// Says in the model registry that the run failed. After a signal there is little time.
async fn abandon(registrar: &Registrar, cancel: &CancellationToken) {
    let told = async {
        if let Err(failure) = registrar.abandon().await {
            tracing::warn!("the artifact stays PENDING: {}", failure.cause);
        }
    };
    if cancel.is_cancelled() {
        if tokio::time::timeout(LAST_REQUEST, told).await.is_err() {
            tracing::warn!("the artifact stays PENDING: the model registry did not answer in time");
        }
    } else {
        told.await;
    }
}

fn in_phase(phase: &'static str) -> impl Fn(Failure) -> End {
    move |failure| {
        End::Failed(Failed {
            phase: phase.to_owned(),
            cause: failure.cause,
            remedy: failure.remedy,
        })
    }
}

fn from_transfer(error: transfer::Error) -> End {
    End::Failed(Failed {
        phase: error.phase.word().to_owned(),
        cause: error.cause,
        remedy: error.remedy,
    })
}
