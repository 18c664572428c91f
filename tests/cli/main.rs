//! The command line, beside kubectl.
//!
//! `scenarios/` lists command lines. `goldens/` holds what the real kubectl did for each of them with
//! a real kube-apiserver: the requests it sent, what the server answered, what kubectl printed. The
//! tests give the same answers to `ctl` and expect the same output, and no request that kubectl didn't
//! make. What follows `&&` in a line is done by kubectl while the command in front of it watches.
//! To record again, with both programs at hand:
//!
//! ```text
//! kubectl proxy --port 8001 &
//! UPDATE_GOLDENS=1 KUBECTL=$(which kubectl) KUBECTL_PROXY=127.0.0.1:8001 cargo test -p tests --test cli
//! ```

mod answers;
mod completions;
mod configured;
mod endpoints;
mod files;
mod languages;
mod recorded;

use recorded::scenario;

#[test]
fn get_prints_what_kubectl_prints() {
    scenario("get");
}

#[test]
fn changes_are_made_and_told_as_kubectl_does() {
    scenario("change");
}

#[test]
fn mistakes_are_worded_as_kubectl_words_them() {
    scenario("local");
}

#[test]
fn descriptions_and_odd_forms_of_output_are_those_of_kubectl() {
    scenario("describe");
}

#[test]
fn what_cannot_be_done_with_pods_is_told_as_kubectl_tells_it() {
    scenario("pods");
}

#[test]
fn objects_are_made_from_flags_as_kubectl_makes_them() {
    scenario("create");
}

#[test]
fn revisions_are_shown_and_brought_back_as_kubectl_does() {
    scenario("rollout");
}

#[test]
fn objects_that_files_no_longer_hold_are_pruned_as_kubectl_does() {
    scenario("prune");
}

#[test]
fn watches_tell_of_changes_as_kubectl_does() {
    scenario("watch");
}

#[test]
fn the_control_plane_is_named_as_kubectl_names_it() {
    scenario("cluster");
}

#[test]
fn clusters_are_dumped_as_kubectl_dumps_them() {
    scenario("dump");
}

#[test]
fn what_is_refused_is_told_as_kubectl_tells_it() {
    scenario("refused");
}

#[test]
fn fields_change_hands_as_with_kubectl() {
    scenario("serverside");
}

#[test]
fn templates_are_described_as_kubectl_describes_them() {
    scenario("template");
}

#[test]
fn what_is_rare_is_as_with_kubectl() {
    scenario("more");
}

#[test]
fn things_are_ordered_as_kubectl_orders_them() {
    scenario("sort");
}

#[test]
fn strings_are_folded_and_quoted_in_kyaml_as_kubectl_does() {
    scenario("kyaml");
}

#[test]
fn who_may_do_what_is_asked_and_told_as_kubectl_does() {
    scenario("auth");
}

#[test]
fn roles_are_reconciled_with_files_as_kubectl_does() {
    scenario("reconcile");
}

#[test]
fn kubeconfig_files_are_changed_as_kubectl_changes_them() {
    configured::scenario("config-edit", &[]);
}

#[test]
fn kubeconfig_files_are_shown_as_kubectl_shows_them() {
    configured::scenario("config-view", &[]);
}

#[test]
fn what_is_wrong_with_a_kubeconfig_is_told_as_kubectl_tells_it() {
    configured::scenario("config-checks", &[]);
}

#[test]
fn servers_that_cannot_be_spoken_with_are_told_of_as_kubectl_does() {
    configured::scenario("servers", &endpoints::start());
}

#[test]
fn go_templates_give_what_kubectl_gives() {
    languages::scenario("go-template", "go-template");
}

#[test]
fn jsonpaths_give_what_kubectl_gives() {
    languages::scenario("jsonpath", "jsonpath");
}

#[test]
fn jsonpaths_give_the_lists_that_kubectl_gives() {
    languages::scenario("jsonpath-as-json", "jsonpath-as-json");
}

#[test]
fn paths_find_in_answers_what_they_find_with_kubectl() {
    scenario("paths");
}
