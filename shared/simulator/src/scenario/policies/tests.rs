use super::*;

/// Fewer replicas and hours than the command plays.
fn report() -> PolicyReport {
    let stories = [Story::whole_instance(2), Story::flood(20, 2)];
    play(&stories, 1, &|| {}).unwrap()
}

fn variant<'r>(report: &'r PolicyReport, story: &str, name: &str) -> &'r VariantReport {
    let story = report.stories.iter().find(|it| it.story.name == story).unwrap();
    story.variants.iter().find(|it| it.variant.name == name).unwrap()
}

#[test]
fn large_tasks_start_unless_everybody_may_pass_them_and_nobody_is_passed_against_the_rules() {
    let report = report();
    for story in &report.stories {
        for variant in &story.variants {
            assert_eq!(variant.inverted_starts, 0, "{}", report.to_table());
        }
    }
    let whole = |name| variant(&report, "whole-instance", name);
    for name in ["reserve-declared", "reserve-learnt", "reserve", "strict"] {
        assert!(whole(name).all_started(), "{}", report.to_table());
        assert!(whole(name).wait_s.mean <= 330.0, "{}", report.to_table());
    }
    assert_eq!(whole("fill").large_started, 0, "{}", report.to_table());
    let used = |name| whole(name).utilisation_percent.mean;
    assert!(
        used("strict") < used("reserve") && used("reserve") < used("fill"),
        "{}",
        report.to_table()
    );
    let flooded = |name| variant(&report, "flood", name).wait_s.mean;
    assert!(
        flooded("reserve") * 10.0 <= flooded("fill"),
        "{}",
        report.to_table()
    );
}

#[test]
fn a_replica_is_the_same_each_time_and_another_one_is_not() {
    let lines = |seed, ends| Story::whole_instance(1).replica(seed, ends).workload.entries;
    assert_eq!(lines(1, Ends::Unknown), lines(1, Ends::Unknown));
    assert_ne!(lines(1, Ends::Unknown), lines(2, Ends::Unknown));
    let declared = lines(1, Ends::Declared);
    assert!(declared.iter().all(|entry| {
        let seconds = entry.expected_s.map(u64::from);
        seconds == Some(entry.duration_ms.div_ceil(1_000))
    }));
}

#[test]
fn those_who_have_not_started_when_the_story_is_over_count_with_the_time_until_then() {
    let large = Reverse(stories::large_priority());
    let mut measures = Measures::default();
    measures.waits_ms.insert(large, vec![10_000]);
    measures.left_waiting_ms.insert(large, vec![40_000]);
    let sample = sample_of(&measures, 100_000);
    assert_eq!((sample.large, sample.large_started), (2, 1));
    assert!((sample.mean_wait_s - 35.0).abs() < 1e-9, "{sample:?}");
}

#[test]
fn the_deviation_is_that_of_a_sample() {
    let figure = Figure::of(&[2.0, 4.0, 4.0, 6.0]);
    assert!((figure.mean - 4.0).abs() < 1e-9, "{figure:?}");
    assert!(
        (figure.deviation - (8.0_f64 / 3.0).sqrt()).abs() < 1e-9,
        "{figure:?}"
    );
    assert!(Figure::of(&[7.0]).deviation.abs() < 1e-9);
}

#[test]
fn the_picture_has_a_bar_for_each_variant_longer_for_a_longer_wait() {
    let wait = |name, mean| VariantReport {
        variant: super::variant(name, name, WaitingPolicy::Fill, Ends::Unknown),
        wait_s: Figure { mean, deviation: 1.0 },
        large_started: 1,
        large: 1,
        utilisation_percent: Figure {
            mean: 98.0,
            deviation: 0.1,
        },
        inverted_starts: 0,
    };
    let report = PolicyReport {
        replicas: 1,
        stories: vec![StoryReport {
            story: Story::whole_instance(1),
            variants: vec![wait("short", 100.0), wait("long", 1_000.0)],
        }],
    };
    let svg = report.to_svg();
    let widths: Vec<f64> = svg
        .lines()
        .filter(|line| line.contains("fill=\"#4878a8\""))
        .map(|line| {
            let (_, rest) = line.split_once("width=\"").unwrap();
            rest.split_once('"').unwrap().0.parse().unwrap()
        })
        .collect();
    // A tenfold wait is a fixed length more on a logarithmic scale, and 10 s is its beginning.
    assert_eq!(widths.len(), 2, "{svg}");
    assert!((widths[1] - 2.0 * widths[0]).abs() < 0.2, "{svg}");
    assert!(svg.contains("100 s ± 1, 98.0 % in use") && svg.ends_with("</svg>\n"));
}
