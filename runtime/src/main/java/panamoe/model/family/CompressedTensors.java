package panamoe.model.family;

import java.util.List;
import java.util.Optional;
import java.util.function.UnaryOperator;
import panamoe.checkpoint.RowSource;
import panamoe.checkpoint.StoredType;
import panamoe.checkpoint.rows.GroupedRows;
import panamoe.checkpoint.rows.GroupedRows.Groups;
import panamoe.checkpoint.rows.PairedRows;
import panamoe.checkpoint.rows.UnpackedRows;
import panamoe.checkpoint.rows.UnpackedRows.Along;

/**
 * The scheme of all matrices in a folder of compressed-tensors, as llm-compressor writes it.
 *
 * @param format of the tensors
 * @param type int or float
 * @param strategy what shares a scale: group, channel, tensor, block
 * @param block rows and columns of a block
 */
record CompressedTensors(
    String format, String type, String strategy, Groups groups, List<Integer> block) {

  static QuantizedTensors of(Keys keys) {
    keys.ignore("quantization_status", "global_compression_ratio", "version", "run_compressed");
    keys.object("transform_config"); // may only be empty
    Keys sparsity = keys.object("sparsity_config");
    if (sparsity != null) {
      sparsity.require("format", "dense");
      sparsity.ignore(
          "global_sparsity",
          "ignore",
          "registry_requires_subclass",
          "sparsity_structure",
          "targets");
    }
    String format = keys.text("format", "none");
    Keys groups = keys.object("config_groups");
    List<CompressedTensors> schemes =
        groups == null
            ? List.of()
            : groups.names().stream()
                .filter(groups::has)
                .map(name -> scheme(groups.object(name), format))
                .distinct()
                .toList();
    if (schemes.size() != 1) {
      throw keys.bad("config_groups", schemes.size() + " schemes", "one for all matrices");
    }
    return schemes.getFirst().tensors(keys);
  }

  private static CompressedTensors scheme(Keys group, String format) {
    group.ignore("targets", "input_activations", "output_activations");
    Keys weights = group.object("weights");
    if (weights == null) {
      throw group.bad("weights", "missing", "the scheme of weights");
    }
    weights.ignore("observer", "observer_kwargs", "scale_dtype", "zp_dtype");
    weights.require("dynamic", false);
    String strategy = weights.text("strategy", "channel");
    if (!List.of("group", "tensor_group", "channel", "tensor", "block").contains(strategy)) {
      throw weights.bad("strategy", strategy, "one of group, channel, tensor, block");
    }
    String order = weights.text("actorder", "none");
    Groups groups =
        new Groups(
            PackedTensors.bits(weights, "num_bits"),
            PackedTensors.size(weights, 0),
            weights.flag("symmetric", true),
            order.equals("group") || order.equals("dynamic"));
    return new CompressedTensors(
        group.text("format", format),
        weights.text("type", "int"),
        strategy,
        groups,
        strategy.equals("block") ? ScaledTensors.block(weights, "block_structure") : List.of());
  }

  private QuantizedTensors tensors(Keys keys) {
    return switch (format) {
      case "pack-quantized" -> this::packed;
      case "mxfp4-pack-quantized" -> CompressedTensors::mxfp4;
      case "nvfp4-pack-quantized" -> ScaledTensors::nvfp4;
      case "int-quantized" -> this::bytes;
      case "float-quantized", "naive-quantized" ->
          type.equals("int")
              ? this::bytes
              : new ScaledTensors(
                  ScaledTensors.SCALE, strategy.equals("block") ? block : List.of());
      default ->
          throw keys.bad(
              "format",
              format,
              "one of pack-quantized, int-quantized, float-quantized, mxfp4-pack-quantized,"
                  + " nvfp4-pack-quantized");
    };
  }

  private Optional<RowSource> packed(Lookup files, String module) {
    String name = module + "weight_packed";
    if (!files.has(name)) {
      return Optional.empty();
    }
    files.ignore(module + "weight_shape");
    String order = module + "weight_g_idx";
    return Optional.of(
        grouped(
            files,
            module,
            new UnpackedRows(files.stored(name), groups.bits(), Along.COLUMNS, 0),
            rows -> new UnpackedRows(rows, groups.bits(), Along.ROWS, 0),
            groups.reordered() || files.has(order) ? files.stored(order) : null));
  }

  /** Signed bytes, which become codes around the middle. */
  private Optional<RowSource> bytes(Lookup files, String module) {
    UnaryOperator<RowSource> unsigned =
        rows -> new UnpackedRows(rows, Byte.SIZE, Along.COLUMNS, groups.middle());
    String name = module + QuantizedTensors.WEIGHT;
    return files.type(name) == StoredType.valueOf("I8")
        ? Optional.of(grouped(files, module, unsigned.apply(files.stored(name)), unsigned, null))
        : Optional.empty();
  }

  /**
   * @param codes UINT8
   * @param unpack makes zero points UINT8
   */
  private RowSource grouped(
      Lookup files,
      String module,
      RowSource codes,
      UnaryOperator<RowSource> unpack,
      RowSource order) {
    files.ignore(module + "input_scale", module + "input_zero_point");
    RowSource zeros =
        groups.symmetric() ? null : unpack.apply(files.stored(module + "weight_zero_point"));
    return new GroupedRows(
        files.whole(module + QuantizedTensors.WEIGHT),
        codes,
        files.stored(module + "weight_scale"),
        zeros,
        order,
        groups);
  }

  private static Optional<RowSource> mxfp4(Lookup files, String module) {
    return files.has(module + "weight_packed")
        ? Optional.of(
            new PairedRows(
                files.stored(module + "weight_packed"), files.stored(module + "weight_scale")))
        : Optional.empty();
  }
}
