package panamoe.model.family;

import java.util.Optional;
import panamoe.checkpoint.RowSource;
import panamoe.checkpoint.rows.GroupedRows;
import panamoe.checkpoint.rows.GroupedRows.Groups;
import panamoe.checkpoint.rows.TransposedRows;
import panamoe.checkpoint.rows.UnpackedRows;
import panamoe.checkpoint.rows.UnpackedRows.Along;

/**
 * Codes of 4 or 8 bits in words of 32: those of AWQ and GPTQ are transposed.
 *
 * @param codes along these, a word has codes
 * @param plus the zero points are larger than stored by this
 */
record PackedTensors(Along codes, Groups groups, int plus) implements QuantizedTensors {
  /** AutoAWQ's {@code gemm}: even columns of eight before odd ones. */
  static PackedTensors awq(Keys keys) {
    keys.require("version", "gemm");
    keys.require("bits", 4);
    keys.ignore("do_fuse", "fuse_max_seq_len", "modules_to_fuse", "exllama_config", "backend");
    boolean symmetric = !keys.flag("zero_point", true);
    return new PackedTensors(
        Along.INTERLEAVED_COLUMNS, new Groups(4, size(keys, 128), symmetric, false), 0);
  }

  /** GPTQ: zero points are stored minus 1, unless the format is {@code gptq_v2}. */
  static PackedTensors gptq(Keys keys) {
    keys.ignore(
        "damp_percent",
        "damp_auto_increment",
        "true_sequential",
        "static_groups",
        "act_group_aware",
        "hyb_act",
        "mse",
        "lm_head",
        "dynamic",
        "model_name_or_path",
        "model_file_base_name",
        "model_seqlen",
        "tokenizer",
        "dataset",
        "batch_size",
        "pad_token_id",
        "block_name_to_quantize",
        "module_name_preceding_first_block",
        "modules_in_block_to_quantize",
        "cache_block_outputs",
        "max_input_length",
        "exllama_config",
        "use_exllama",
        "disable_exllama",
        "use_cuda_fp16",
        "backend");
    keys.require("pack_dtype", "int32");
    keys.require("is_marlin_format", false);
    String format = keys.text("checkpoint_format", "gptq");
    if (!format.equals("gptq") && !format.equals("gptq_v2")) {
      throw keys.bad("checkpoint_format", format, "gptq or gptq_v2");
    }
    Groups groups =
        new Groups(
            bits(keys, "bits"),
            size(keys, 128),
            keys.flag("sym", true),
            keys.flag("desc_act", false));
    return new PackedTensors(Along.ROWS, groups, format.equals("gptq") ? 1 : 0);
  }

  /** The size of a group; 0 for whole rows, which -1 stands for. */
  static int size(Keys keys, int absent) {
    return keys.number("group_size", absent) == -1 ? 0 : keys.count("group_size", absent);
  }

  static int bits(Keys keys, String name) {
    int bits = keys.count(name);
    if (bits != 4 && bits != 8) {
      throw keys.bad(name, "" + bits, "4 or 8");
    }
    return bits;
  }

  @Override
  public Optional<RowSource> matrix(Lookup files, String module) {
    if (!files.has(module + "qweight")) {
      return Optional.empty();
    }
    String order = module + "g_idx";
    files.ignoreZeros(module + "bias"); // AutoGPTQ adds them to models without biases
    return Optional.of(
        new GroupedRows(
            files.whole(module + WEIGHT),
            new TransposedRows(
                new UnpackedRows(files.stored(module + "qweight"), groups.bits(), codes, 0)),
            new TransposedRows(files.stored(module + "scales")),
            new TransposedRows(
                new UnpackedRows(
                    files.stored(module + "qzeros"),
                    groups.bits(),
                    codes == Along.ROWS ? Along.COLUMNS : codes,
                    plus)),
            groups.reordered() || files.has(order) ? files.stored(order) : null,
            groups));
  }
}
