package panamoe.model.family;

import java.util.List;
import java.util.Locale;
import java.util.Optional;
import panamoe.checkpoint.RowSource;
import panamoe.checkpoint.StoredType;
import panamoe.checkpoint.rows.E2m1Rows;
import panamoe.checkpoint.rows.FactorRows;
import panamoe.checkpoint.rows.ScaledRows;

/**
 * Floats of 8 or 4 bits, with scales of their blocks.
 *
 * @param scale behind the name of a matrix
 * @param block rows and columns of a block; empty: whole rows or the whole matrix, by the number of
 *     scales
 */
record ScaledTensors(String scale, List<Integer> block) implements QuantizedTensors {
  static final String SCALE = "_scale";
  private static final String PACKED = "weight_packed";

  /** DeepSeek's, with blocks, and AutoFP8's, without. */
  static ScaledTensors fp8(Keys keys) {
    if (!keys.text("fmt", "e4m3").equals("float8_e4m3fn")) { // MiniMax-M2's name for it
      keys.require("fmt", "e4m3");
    }
    return keys.has("weight_block_size")
        ? new ScaledTensors("_scale_inv", block(keys, "weight_block_size"))
        : new ScaledTensors(SCALE, List.of());
  }

  /** NVIDIA's Model Optimizer. */
  static QuantizedTensors modelopt(Keys keys) {
    keys.ignore("producer", "exclude_modules", "config_groups", "kv_cache_quant_algo");
    keys.ignore("kv_cache_scheme", "group_size");
    String algorithm = keys.text("quant_algo", "none").toLowerCase(Locale.ROOT);
    return switch (algorithm) {
      case "fp8" -> new ScaledTensors(SCALE, List.of());
      case "nvfp4" -> (files, module) -> nvfp4(files, module, WEIGHT, "weight_scale_2", false);
      default -> throw keys.bad("quant_algo", algorithm, "fp8 or nvfp4");
    };
  }

  static List<Integer> block(Keys keys, String name) {
    List<Integer> block = keys.numbers(name);
    if (block.size() != 2 || block.contains(0)) {
      throw keys.bad(name, block.toString(), "two numbers from 1");
    }
    return block;
  }

  @Override
  public Optional<RowSource> matrix(Lookup files, String module) {
    String weight = module + WEIGHT;
    if (files.type(weight) != StoredType.F8_E4M3) {
      return Optional.empty();
    }
    ignoreActivations(files, module);
    return Optional.of(scaled(files.stored(weight), files.stored(weight + scale)));
  }

  @Override
  public RowSource part(Lookup files, String name, RowSource rows) {
    return files.type(name) == StoredType.F8_E4M3
        ? scaled(rows, files.storedPart(name + scale))
        : rows;
  }

  private RowSource scaled(RowSource values, RowSource scales) {
    return block.isEmpty()
        ? ScaledRows.whole(values, scales)
        : new ScaledRows(values, scales, block.get(0), block.get(1));
  }

  /** The scheme {@code nvfp4-pack-quantized} of compressed-tensors: the global scale divides. */
  static Optional<RowSource> nvfp4(Lookup files, String module) {
    return nvfp4(files, module, PACKED, "weight_global_scale", true);
  }

  private static Optional<RowSource> nvfp4(
      Lookup files, String module, String codes, String global, boolean divides) {
    if (files.type(module + codes) != StoredType.U8) {
      return Optional.empty();
    }
    ignoreActivations(files, module);
    RowSource numbers = new E2m1Rows(files.stored(module + codes));
    RowSource factor =
        new FactorRows(files.whole(module + global), files.stored(module + global), divides);
    return Optional.of(
        ScaledRows.whole(
            new ScaledRows(numbers, files.stored(module + WEIGHT + SCALE), 1, 16), factor));
  }

  private static void ignoreActivations(Lookup files, String module) {
    files.ignore(
        module + "input_scale",
        module + "input_global_scale",
        module + "k_scale",
        module + "v_scale");
  }
}
