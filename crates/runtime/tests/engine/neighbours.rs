//! Resources of one namespace, of which only one may have something.

use super::*;

fn only_one() -> GadgetSpec {
    GadgetSpec {
        only_one: true,
        ..spec("1")
    }
}

fn older(gadget: &Gadget) -> Option<&str> {
    gadget.status.as_ref()?.older.as_deref()
}

#[tokio::test]
async fn the_oldest_is_followed_by_the_next_when_it_goes() {
    let bench = Bench::new("neighbours").await;
    let operator = bench.run().await;
    let mut names = Vec::new();
    for name in ["a", "b", "c"] {
        let made = bench.gadget(name, only_one()).await;
        names.push((made.metadata.creation_timestamp, made.metadata.uid, name));
    }
    // Within one second, the uid decides.
    names.sort();
    let [first, second, third] = [0, 1, 2].map(|place| names[place].2);
    bench.settled(first, |g| older(g).is_none()).await;
    bench.settled(second, |g| older(g) == Some(first)).await;
    bench.settled(third, |g| older(g) == Some(first)).await;
    let gadgets = bench.api::<Gadget>();
    let params = DeleteParams::default();
    gadgets.delete(first, &params).await.expect("deleted");
    bench.settled(second, |g| older(g).is_none()).await;
    bench.settled(third, |g| older(g) == Some(second)).await;
    operator.stop().await;
}
