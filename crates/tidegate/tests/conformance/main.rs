//! One suite, every device: what the public interface promises, under each policy, with bit-identical results.
//!
//! A test is a function of a [`World`](world::World), which opens devices and makes kernels. `suite!` makes a test of it for each device.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, too, may stop at the first surprise"
)]

mod bounds;
mod events;
mod graphs;
mod kernels;
mod launches;
mod memory;
mod misuse;
#[cfg(all(feature = "metal", any(target_vendor = "apple", metal_soft)))]
mod msl;
mod traces;
mod transfers;
mod world;

/// Makes a test of each function for every device.
macro_rules! suite {
    ($($module:ident: $($test:ident)*;)*) => {
        mod simulated {
            $($(#[test] fn $test() { crate::world::simulated(crate::$module::$test); })*)*
        }
        #[cfg(feature = "vulkan")]
        mod vulkan {
            $($(#[test] fn $test() { crate::world::vulkan(crate::$module::$test); })*)*
        }
        #[cfg(all(feature = "metal", any(target_vendor = "apple", metal_soft)))]
        mod metal {
            $($(#[test] fn $test() { crate::world::metal(crate::$module::$test); })*)*
        }
    };
}

#[cfg(all(feature = "metal", any(target_vendor = "apple", metal_soft)))]
mod metal_alone {
    use crate::{msl, world::metal};

    #[test]
    fn source_is_taken_as_it_is() {
        metal(msl::source_is_taken_as_it_is);
    }

    #[test]
    fn a_kernel_may_fill_every_slot_and_no_more() {
        metal(msl::a_kernel_may_fill_every_slot_and_no_more);
    }

    #[test]
    fn wrong_source_is_refused() {
        metal(msl::wrong_source_is_refused);
    }

    #[test]
    fn a_library_that_is_none_is_refused() {
        metal(msl::a_library_that_is_none_is_refused);
    }
}

suite! {
    launches:
        a_chain_takes_effect_in_order
        scalars_belong_to_their_launch
        grids_of_every_shape
        slices_are_bound_where_they_lie
        kernels_with_several_buffers
        a_uniform_may_be_bound_before_the_buffers
        arguments_made_at_run_time
        aliases_are_allowed_when_they_are_meant
        constants_are_replaced
        workgroup_memory_starts_as_zeros
        structures_go_from_buffers_to_variables_and_back;
    transfers:
        uploads_of_every_size
        an_upload_has_read_its_slice
        an_upload_larger_than_the_ring
        downloads_late_at_once_and_never
        a_download_is_a_snapshot
        slices_of_slices
        copies
        fills
        zeros
        nothing_of_nothing;
    events:
        an_event_never_recorded_is_complete
        an_event_orders_two_streams
        an_event_recorded_again_moves
        a_flush_lets_work_through
        a_query_tells_where_work_stands
        buffers_are_ordered_across_streams
        streams_move_between_threads
        a_policy_may_change
        everything_may_be_dropped_while_pending;
    graphs:
        a_graph_does_again_what_was_captured
        a_capture_does_nothing_by_itself
        every_sort_of_command_is_captured
        several_launches_are_in_flight
        arguments_change_between_launches
        a_change_that_is_refused_changes_nothing
        barriers_follow_the_buffers
        what_a_graph_uses_lives_as_long
        buffers_that_a_graph_no_longer_uses_are_let_go
        events_belong_to_each_launch
        graphs_are_ordered_across_streams
        a_long_graph_goes_in_parts
        what_cannot_be_captured_is_said;
    traces:
        a_trace_says_what_happened
        times_are_in_order
        a_trace_has_a_limit;
    memory:
        freed_memory_is_used_again
        memory_runs_out_and_comes_back
        too_large_is_said
        the_limits_are_kept
        counters_count
        devices_live_side_by_side;
    misuse:
        wrong_arguments
        wrong_scalars
        wrong_grids
        aliases
        short_and_misaligned_buffers
        slices_out_of_range
        copies_that_do_not_fit
        things_of_another_device
        names_that_do_not_exist
        sources_that_do_not_compile
        sources_for_another_backend;
    bounds:
        hostile_indices_reach_nothing_else
        an_unchecked_kernel_does_the_damage
        workgroup_memory_tells_nothing_of_earlier_kernels
        what_cannot_be_checked_is_refused;
}
