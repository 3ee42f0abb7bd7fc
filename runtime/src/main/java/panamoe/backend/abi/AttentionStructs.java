package panamoe.backend.abi;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import panamoe.backend.AttentionSettings;
import panamoe.bindings.moe_attention_config;
import panamoe.bindings.moe_attention_gradients;
import panamoe.bindings.moe_attention_inputs;
import panamoe.bindings.moe_cache_places;
import panamoe.bindings.moe_rotary_angles;

/**
 * The structs of moe/attention.h, one of each for a thread: C copies a struct before its call
 * returns, so the thread's next call may write it anew.
 */
final class AttentionStructs {
  private static final ThreadLocal<AttentionStructs> OF_THREAD =
      ThreadLocal.withInitial(AttentionStructs::new);

  private final MemorySegment config;
  private final MemorySegment inputs;
  private final MemorySegment gradients;
  private final MemorySegment places;
  private final MemorySegment angles;

  private AttentionStructs() {
    Arena arena = Arena.ofAuto();
    config = moe_attention_config.allocate(arena);
    moe_attention_config.struct_size(config, (int) config.byteSize());
    inputs = moe_attention_inputs.allocate(arena);
    moe_attention_inputs.struct_size(inputs, (int) inputs.byteSize());
    gradients = moe_attention_gradients.allocate(arena);
    moe_attention_gradients.struct_size(gradients, (int) gradients.byteSize());
    places = moe_cache_places.allocate(arena);
    moe_cache_places.struct_size(places, (int) places.byteSize());
    angles = moe_rotary_angles.allocate(arena);
    moe_rotary_angles.struct_size(angles, (int) angles.byteSize());
  }

  static MemorySegment config(AttentionSettings settings) {
    MemorySegment struct = OF_THREAD.get().config;
    // The enum stands in the order of moe_mask.
    moe_attention_config.mask(struct, settings.mask().ordinal());
    moe_attention_config.scale(struct, settings.scale());
    moe_attention_config.window(struct, settings.window());
    return struct;
  }

  /** Of the descriptors of q, k, v and sinks from t[first] on. */
  static MemorySegment inputs(MemorySegment[] t, int first) {
    MemorySegment struct = OF_THREAD.get().inputs;
    moe_attention_inputs.q(struct, t[first]);
    moe_attention_inputs.k(struct, t[first + 1]);
    moe_attention_inputs.v(struct, t[first + 2]);
    moe_attention_inputs.sinks(struct, t[first + 3]);
    return struct;
  }

  /** Of dq, dk, dv and dsinks. */
  static MemorySegment gradients(MemorySegment[] t, int first) {
    MemorySegment struct = OF_THREAD.get().gradients;
    moe_attention_gradients.dq(struct, t[first]);
    moe_attention_gradients.dk(struct, t[first + 1]);
    moe_attention_gradients.dv(struct, t[first + 2]);
    moe_attention_gradients.dsinks(struct, t[first + 3]);
    return struct;
  }

  /** Of keys, values, slot and position. */
  static MemorySegment places(MemorySegment[] t, int first) {
    MemorySegment struct = OF_THREAD.get().places;
    moe_cache_places.keys(struct, t[first]);
    moe_cache_places.values(struct, t[first + 1]);
    moe_cache_places.slot(struct, t[first + 2]);
    moe_cache_places.position(struct, t[first + 3]);
    return struct;
  }

  /** Of positions, cosine and sine. */
  static MemorySegment angles(int interleaved, MemorySegment[] t, int first) {
    MemorySegment struct = OF_THREAD.get().angles;
    moe_rotary_angles.interleaved(struct, interleaved);
    moe_rotary_angles.positions(struct, t[first]);
    moe_rotary_angles.cosine(struct, t[first + 1]);
    moe_rotary_angles.sine(struct, t[first + 2]);
    return struct;
  }
}
