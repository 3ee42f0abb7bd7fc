package panamoe.backend.abi;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import panamoe.backend.Activation;
import panamoe.bindings.moe_activation_config;

/**
 * The {@code moe_activation_config} of every distinct {@link Activation} seen, written once. They
 * are few, and live as long as the process because structs point to them.
 */
final class ActivationConfigs {
  private static final Map<Activation, MemorySegment> CONFIGS = new ConcurrentHashMap<>();

  private ActivationConfigs() {}

  static MemorySegment of(Activation activation) {
    MemorySegment config = CONFIGS.get(activation);
    return config != null ? config : CONFIGS.computeIfAbsent(activation, ActivationConfigs::write);
  }

  private static MemorySegment write(Activation activation) {
    MemorySegment config = moe_activation_config.allocate(Arena.global());
    moe_activation_config.struct_size(config, (int) moe_activation_config.sizeof());
    moe_activation_config.kind(config, activation.kind().code());
    moe_activation_config.limit(config, activation.limit());
    moe_activation_config.alpha(config, activation.alpha());
    moe_activation_config.up_offset(config, activation.upOffset());
    return config;
  }
}
