use super::*;

#[test]
fn whole() {
    let report = play(&[Story::WHOLE, Story::FLOOD], 2, &|_, _| {}).unwrap();
    println!("{}", report.to_table());
}
