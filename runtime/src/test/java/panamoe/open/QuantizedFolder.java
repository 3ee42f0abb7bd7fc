package panamoe.open;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.function.IntBinaryOperator;
import panamoe.checkpoint.StoredType;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * A small model twice: quantized as other libraries store it, and as the floats that follow from
 * the definition of the format, in float64. Scales have few bits, so that no product is rounded.
 */
public final class QuantizedFolder {
  /** Widths of the model, and of the queries together: a power of two. */
  static final int WIDTH = 128;

  private static final float[] E2M1 = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6};

  public final ReleasedFolder quantized = ReleasedFolder.mixtral(WIDTH, WIDTH, 3, StoredType.F32);
  final ReleasedFolder floats = ReleasedFolder.mixtral(WIDTH, WIDTH, 3, StoredType.F32);
  private final Random random = new Random(11);

  /** Writes one matrix in the quantized layout, and returns its values. */
  private interface Writer {
    double[][] write(String module, int rows, int columns);
  }

  /**
   * @param library that wrote the folder
   * @param bits of a code
   * @param group columns that share a scale; -1: all
   * @param symmetric without zero points
   */
  public static QuantizedFolder of(String library, int bits, int group, boolean symmetric) {
    QuantizedFolder folder = new QuantizedFolder();
    String weights =
        """
        {"config_groups": {"group_0": {"targets": ["Linear"], "input_activations": null, "weights":
          {"num_bits": %s, "type": "%s", "symmetric": %s, "strategy": "%s", "group_size": %s,
           "block_structure": %s, "dynamic": false, "observer": "minmax", "actorder": null}}},
         "quant_method": "compressed-tensors", "format": "%s", "ignore": ["lm_head"],
         "kv_cache_scheme": null, "sparsity_config": {}, "transform_config": {}, "version": "0.12"}
        """;
    String strategy = group == -1 ? "channel" : "group";
    Object size = group == -1 ? "null" : group;
    switch (library) {
      case "pack" ->
          folder.write(
              weights.formatted(bits, "int", symmetric, strategy, size, "null", "pack-quantized"),
              (module, rows, columns) ->
                  folder.compressed(module, folder.draw(rows, columns, bits, group, symmetric)));
      case "int" ->
          folder.write(
              weights.formatted(bits, "int", symmetric, strategy, size, "null", "int-quantized"),
              (module, rows, columns) ->
                  folder.bytes(module, folder.draw(rows, columns, bits, group, symmetric)));
      case "awq" ->
          folder.write(
              """
              {"quant_method": "awq", "bits": 4, "group_size": %s, "zero_point": %s,
               "version": "gemm", "modules_to_not_convert": ["gate"]}
              """
                  .formatted(group, !symmetric),
              (module, rows, columns) ->
                  folder.awq(module, folder.draw(rows, columns, bits, group, symmetric)));
      case "gptq", "gptq_v2", "act-order" ->
          folder.write(
              """
              {"quant_method": "gptq", "bits": %s, "group_size": %s, "sym": %s, "desc_act": %s,
               "checkpoint_format": "%s", "damp_percent": 0.01, "true_sequential": true,
               "static_groups": false, "lm_head": false, "pack_dtype": "int32", "meta": {}}
              """
                  .formatted(
                      bits,
                      group,
                      symmetric,
                      library.equals("act-order"),
                      library.equals("gptq_v2") ? "gptq_v2" : "gptq"),
              (module, rows, columns) ->
                  folder.gptq(
                      module,
                      folder.draw(rows, columns, bits, group, symmetric),
                      library.equals("gptq_v2") ? 0 : 1,
                      library.equals("act-order")));
      case "float" ->
          folder.write(
              weights.formatted(8, "float", true, strategy, size, "null", "float-quantized"),
              (module, rows, columns) -> folder.eight(module, rows, columns, 1, columns));
      case "float-block" ->
          folder.write(
              weights.formatted(8, "float", true, "block", "null", "[128, 128]", "float-quantized"),
              (module, rows, columns) -> folder.eight(module, rows, columns, 128, 128));
      case "float-tensor" ->
          folder.write(
              "{\"quant_method\": \"fp8\", \"activation_scheme\": \"static\"}",
              (module, rows, columns) -> folder.eight(module, rows, columns, rows, columns));
      case "nvfp4" ->
          folder.write(
              weights.formatted(
                  4, "float", true, "tensor_group", 16, "null", "nvfp4-pack-quantized"),
              (module, rows, columns) -> folder.nvfp4(module, rows, columns, true));
      case "modelopt" ->
          folder.write(
              "{\"quant_method\": \"modelopt\", \"quant_algo\": \"NVFP4\", \"ignore\": []}",
              (module, rows, columns) -> folder.nvfp4(module, rows, columns, false));
      case "mxfp4" ->
          folder.write(
              weights.formatted(4, "float", true, "group", 32, "null", "mxfp4-pack-quantized"),
              folder::mxfp4);
      default -> throw new IllegalArgumentException(library);
    }
    return folder;
  }

  /** All matrices of attention and experts, but one that is an exception. */
  private void write(String config, Writer writer) {
    JsonNode keys = JsonMapper.shared().readTree(config);
    quantized.config.set("quantization_config", keys);
    for (String name : List.copyOf(floats.tensors.keySet())) {
      boolean matrix = name.contains("_proj") || name.contains(".experts.");
      if (!matrix || name.equals("model.layers.1.self_attn.q_proj.weight")) {
        continue;
      }
      int rows = (int) floats.tensors.get(name).shape()[0];
      int columns = (int) floats.tensors.get(name).shape()[1];
      quantized.tensors.remove(name);
      double[][] values =
          writer.write(name.substring(0, name.length() - "weight".length()), rows, columns);
      float[] flat = new float[rows * columns];
      for (int i = 0; i < flat.length; i++) {
        flat[i] = (float) values[i / columns][i % columns];
      }
      floats.put(name, StoredType.F32, flat, rows, columns);
    }
  }

  /** Codes, and the scales and zero points of groups. */
  private record Codes(
      int bits, boolean symmetric, int[][] codes, double[][] scales, int[][] zeros) {
    int rows() {
      return codes.length;
    }

    int columns() {
      return codes[0].length;
    }

    int groups() {
      return scales[0].length;
    }

    double[][] values(int[] order) {
      double[][] values = new double[rows()][columns()];
      for (int i = 0; i < rows(); i++) {
        for (int j = 0; j < columns(); j++) {
          values[i][j] = scales[i][order[j]] * (codes[i][j] - zeros[i][order[j]]);
        }
      }
      return values;
    }

    int[] natural() {
      int[] order = new int[columns()];
      for (int j = 0; j < order.length; j++) {
        order[j] = j / (columns() / groups());
      }
      return order;
    }
  }

  private Codes draw(int rows, int columns, int bits, int group, boolean symmetric) {
    int groups = group == -1 ? 1 : columns / group;
    int[][] codes = new int[rows][columns];
    double[][] scales = new double[rows][groups];
    int[][] zeros = new int[rows][groups];
    int range = 1 << bits;
    for (int i = 0; i < rows; i++) {
      for (int g = 0; g < groups; g++) {
        scales[i][g] = scale() * 16 / range;
        zeros[i][g] = symmetric ? range / 2 : 1 + random.nextInt(range - 1);
      }
      for (int j = 0; j < columns; j++) {
        codes[i][j] = random.nextInt(range);
      }
    }
    return new Codes(bits, symmetric, codes, scales, zeros);
  }

  /** About 0.01, of five bits, so that 15 times it has not more bits than float16. */
  private double scale() {
    return (16 + random.nextInt(16)) * 0x1p-11;
  }

  private double[][] compressed(String module, Codes all) {
    int rows = all.rows();
    int columns = all.columns();
    int groups = all.groups();
    int per = 32 / all.bits();
    words(
        module + "weight_packed",
        rows,
        columns / per,
        all.bits(),
        (word, k) -> all.codes()[word / (columns / per)][word % (columns / per) * per + k]);
    halves(module + "weight_scale", StoredType.BF16, rows, groups, (i, g) -> all.scales()[i][g]);
    if (!all.symmetric()) {
      words(
          module + "weight_zero_point",
          rows / per,
          groups,
          all.bits(),
          (word, k) -> all.zeros()[word / groups * per + k][word % groups]);
    }
    byte[] shape = new byte[16];
    shape[0] = (byte) rows;
    shape[8] = (byte) columns;
    quantized.tensors.put(
        module + "weight_shape", new ReleasedFolder.Saved(StoredType.I64, shape, 2));
    return all.values(all.natural());
  }

  private double[][] bytes(String module, Codes all) {
    signed(module + "weight", all.bits(), all.codes());
    halves(
        module + "weight_scale",
        StoredType.F32,
        all.rows(),
        all.groups(),
        (i, g) -> all.scales()[i][g]);
    if (!all.symmetric()) {
      signed(module + "weight_zero_point", all.bits(), all.zeros());
    }
    return all.values(all.natural());
  }

  /** A byte for each number, which is less by half of the range. */
  private void signed(String name, int bits, int[][] numbers) {
    int columns = numbers[0].length;
    byte[] bytes = new byte[numbers.length * columns];
    for (int i = 0; i < bytes.length; i++) {
      bytes[i] = (byte) (numbers[i / columns][i % columns] - (1 << bits - 1));
    }
    StoredType type = StoredType.valueOf("I8");
    quantized.tensors.put(name, new ReleasedFolder.Saved(type, bytes, numbers.length, columns));
  }

  private double[][] awq(String module, Codes all) {
    int[] places = {0, 2, 4, 6, 1, 3, 5, 7}; // the column of each four bits, from the lowest
    int across = all.rows() / 8;
    words(
        module + "qweight",
        all.columns(),
        across,
        4,
        (word, k) -> all.codes()[word % across * 8 + places[k]][word / across]);
    words(
        module + "qzeros",
        all.groups(),
        across,
        4,
        (word, k) -> all.zeros()[word % across * 8 + places[k]][word / across]);
    halves(
        module + "scales", StoredType.F16, all.groups(), all.rows(), (g, i) -> all.scales()[i][g]);
    return all.values(all.natural());
  }

  private double[][] gptq(String module, Codes all, int less, boolean shuffled) {
    int per = 32 / all.bits();
    int rows = all.rows();
    words(
        module + "qweight",
        all.columns() / per,
        rows,
        all.bits(),
        (word, k) -> all.codes()[word % rows][word / rows * per + k]);
    words(
        module + "qzeros",
        all.groups(),
        rows / per,
        all.bits(),
        (word, k) -> all.zeros()[word % (rows / per) * per + k][word / (rows / per)] - less);
    halves(module + "scales", StoredType.F16, all.groups(), rows, (g, i) -> all.scales()[i][g]);
    quantized.tensors.put(
        module + "bias", new ReleasedFolder.Saved(StoredType.F16, new byte[2 * rows], rows));
    int[] order = all.natural();
    if (shuffled) {
      for (int j = order.length - 1; j > 0; j--) {
        int other = random.nextInt(j + 1);
        int moved = order[j];
        order[j] = order[other];
        order[other] = moved;
      }
    }
    words(module + "g_idx", 1, order.length, 32, (j, _) -> order[j]);
    quantized.tensors.computeIfPresent(
        module + "g_idx",
        (_, saved) -> new ReleasedFolder.Saved(saved.type(), saved.bytes(), order.length));
    return all.values(order);
  }

  private double[][] eight(String module, int rows, int columns, int blockRows, int blockColumns) {
    int across = columns / blockColumns;
    int down = Math.ceilDiv(rows, blockRows);
    float[] scales = new float[down * across];
    for (int i = 0; i < scales.length; i++) {
      scales[i] = (float) scale();
    }
    byte[] codes = new byte[rows * columns];
    random.nextBytes(codes);
    double[][] values = new double[rows][columns];
    for (int i = 0; i < codes.length; i++) {
      codes[i] = (codes[i] & 127) == 127 ? 0 : codes[i]; // no NaN
      double scale = scales[i / columns / blockRows * across + i % columns / blockColumns];
      values[i / columns][i % columns] = e4m3(codes[i]) * scale;
    }
    quantized.tensors.put(
        module + "weight", new ReleasedFolder.Saved(StoredType.F8_E4M3, codes, rows, columns));
    if (blockRows == rows) {
      quantized.put(module + "weight_scale", StoredType.F32, scales, 1);
      quantized.put(module + "input_scale", StoredType.F32, scales, 1);
    } else {
      quantized.put(module + "weight_scale", StoredType.F32, scales, down, across);
    }
    return values;
  }

  private static double e4m3(byte code) {
    int exponent = code >> 3 & 15;
    double mantissa = code & 7;
    double magnitude =
        exponent == 0 ? mantissa * 0x1p-9 : (1 + mantissa / 8) * Math.pow(2, exponent - 7);
    return code < 0 ? -magnitude : magnitude;
  }

  private double[][] nvfp4(String module, int rows, int columns, boolean divides) {
    byte[] pairs = new byte[rows * columns / 2];
    byte[] scales = new byte[rows * columns / 16];
    random.nextBytes(pairs);
    for (int i = 0; i < scales.length; i++) {
      scales[i] = (byte) (0x28 + random.nextInt(16));
    }
    float factor = divides ? 64 : 0x1p-6f;
    double[][] values = new double[rows][columns];
    for (int i = 0; i < rows * columns; i++) {
      int code = pairs[i / 2] >> 4 * (i % 2) & 15;
      double value = code < 8 ? E2M1[code] : 0 - E2M1[code - 8]; // without a negative zero
      values[i / columns][i % columns] = value * e4m3(scales[i / 16]) / 64;
    }
    quantized.tensors.put(
        module + (divides ? "weight_packed" : "weight"),
        new ReleasedFolder.Saved(StoredType.U8, pairs, rows, columns / 2));
    quantized.tensors.put(
        module + "weight_scale",
        new ReleasedFolder.Saved(StoredType.F8_E4M3, scales, rows, columns / 16));
    quantized.put(
        module + (divides ? "weight_global_scale" : "weight_scale_2"),
        StoredType.F32,
        new float[] {factor},
        1);
    return values;
  }

  private double[][] mxfp4(String module, int rows, int columns) {
    byte[] pairs = new byte[rows * columns / 2];
    byte[] scales = new byte[rows * columns / 32];
    random.nextBytes(pairs);
    for (int i = 0; i < scales.length; i++) {
      scales[i] = (byte) (118 + random.nextInt(4));
    }
    double[][] values = new double[rows][columns];
    for (int i = 0; i < rows * columns; i++) {
      int code = pairs[i / 2] >> 4 * (i % 2) & 15;
      double value = code < 8 ? E2M1[code] : 0 - E2M1[code - 8];
      values[i / columns][i % columns] = value * Math.pow(2, scales[i / 32] - 127);
    }
    quantized.tensors.put(
        module + "weight_packed",
        new ReleasedFolder.Saved(StoredType.U8, pairs, rows, columns / 2));
    quantized.tensors.put(
        module + "weight_scale",
        new ReleasedFolder.Saved(StoredType.U8, scales, rows, columns / 32));
    return values;
  }

  /** Words of 32 bits: {@code code(word, k)} is in bits {@code k * bits} and above. */
  private void words(String name, int rows, int columns, int bits, IntBinaryOperator code) {
    byte[] bytes = new byte[4 * rows * columns];
    for (int word = 0; word < rows * columns; word++) {
      long packed = 0;
      for (int k = 0; k < 32 / bits; k++) {
        packed |= (code.applyAsInt(word, k) & (1L << bits) - 1) << k * bits;
      }
      for (int b = 0; b < 4; b++) {
        bytes[4 * word + b] = (byte) (packed >> 8 * b);
      }
    }
    quantized.tensors.put(name, new ReleasedFolder.Saved(StoredType.I32, bytes, rows, columns));
  }

  private interface Element {
    double at(int row, int column);
  }

  private void halves(String name, StoredType type, int rows, int columns, Element element) {
    if (type != StoredType.F16) {
      float[] values = new float[rows * columns];
      for (int i = 0; i < values.length; i++) {
        values[i] = (float) element.at(i / columns, i % columns);
      }
      quantized.put(name, type, values, rows, columns);
      return;
    }
    byte[] bytes = new byte[2 * rows * columns];
    for (int i = 0; i < rows * columns; i++) {
      short half = Float.floatToFloat16((float) element.at(i / columns, i % columns));
      bytes[2 * i] = (byte) half;
      bytes[2 * i + 1] = (byte) (half >> 8);
    }
    quantized.tensors.put(name, new ReleasedFolder.Saved(type, bytes, rows, columns));
  }

  /** The names of tensors that end with {@code end}. */
  List<String> named(String end) {
    return new ArrayList<>(
        quantized.tensors.keySet().stream().filter(name -> name.endsWith(end)).toList());
  }
}
