package panamoe.backend.abi;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.HashMap;
import java.util.Map;
import panamoe.backend.GateSettings;
import panamoe.bindings.moe_gate_config;

/**
 * The {@code moe_gate_config} of every distinct {@link GateSettings} seen, written once and kept
 * for replays.
 */
final class GateConfigs {
  private final Arena arena;
  private final Map<GateSettings, MemorySegment> configs = new HashMap<>();

  GateConfigs(Arena arena) {
    this.arena = arena;
  }

  MemorySegment of(GateSettings settings) {
    return configs.computeIfAbsent(settings, this::write);
  }

  private MemorySegment write(GateSettings settings) {
    MemorySegment config = moe_gate_config.allocate(arena);
    moe_gate_config.struct_size(config, (int) moe_gate_config.sizeof());
    moe_gate_config.top_k(config, settings.topK());
    // The enums of GateSettings stand in the order of those of moe/gate.h.
    moe_gate_config.score(config, settings.score().ordinal());
    moe_gate_config.drop_policy(config, settings.dropPolicy().ordinal());
    moe_gate_config.queue_order(config, settings.queueOrder().ordinal());
    moe_gate_config.normalization(config, settings.normalization().ordinal());
    moe_gate_config.capacity(config, settings.capacity());
    moe_gate_config.groups(config, settings.groups());
    moe_gate_config.chosen_groups(config, settings.chosenGroups());
    moe_gate_config.group_score(config, settings.groupScore().ordinal());
    moe_gate_config.auxiliary_choices(config, settings.auxiliaryChoices());
    moe_gate_config.noise_first_choice(config, settings.noiseFirstChoice());
    moe_gate_config.normalization_epsilon(config, settings.normalizationEpsilon());
    moe_gate_config.weight_scale(config, settings.weightScale());
    moe_gate_config.denominator_offset(config, settings.denominatorOffset());
    return config;
  }
}
