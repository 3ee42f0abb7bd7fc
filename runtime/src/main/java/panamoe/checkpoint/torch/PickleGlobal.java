package panamoe.checkpoint.torch;

import java.util.Map;
import java.util.TreeMap;
import panamoe.checkpoint.StoredType;

/**
 * The names that a pickle may use. No Python runs: each name stands for plain data, and any other
 * is refused.
 *
 * @param type of the elements of a storage
 */
record PickleGlobal(Kind kind, StoredType type) {
  enum Kind {
    ORDERED_DICT,
    NAMESPACE,
    REBUILD_TENSOR,
    REBUILD_PARAMETER,
    STORAGE,
    SIZE,
    SET,
    /** Objects of state dictionaries that are not needed here; their values are dropped. */
    DROPPED
  }

  private static final Map<String, PickleGlobal> ALLOWED = allowed();

  private static Map<String, PickleGlobal> allowed() {
    Map<String, PickleGlobal> names = new TreeMap<>();
    names.put("collections.OrderedDict", of(Kind.ORDERED_DICT));
    names.put("argparse.Namespace", of(Kind.NAMESPACE));
    names.put("torch._utils._rebuild_tensor_v2", of(Kind.REBUILD_TENSOR));
    names.put("torch._utils._rebuild_parameter", of(Kind.REBUILD_PARAMETER));
    names.put("torch.Size", of(Kind.SIZE));
    names.put("__builtin__.set", of(Kind.SET));
    names.put("builtins.set", of(Kind.SET));
    storage(names, "Double", StoredType.F64);
    storage(names, "Float", StoredType.F32);
    storage(names, "Half", StoredType.F16);
    storage(names, "BFloat16", StoredType.BF16);
    storage(names, "Long", StoredType.I64);
    storage(names, "Int", StoredType.I32);
    storage(names, "Short", StoredType.I16);
    storage(names, "Byte", StoredType.U8);
    storage(names, "Bool", StoredType.BOOL);
    for (String name :
        new String[] {
          "torch.float32",
          "torch.float16",
          "torch.bfloat16",
          "megatron.model.enums.ModelType",
          "megatron.core.enums.ModelType",
          // the state of numpy's random numbers
          "numpy.core.multiarray._reconstruct",
          "numpy._core.multiarray._reconstruct",
          "numpy.ndarray",
          "numpy.dtype",
          "_codecs.encode"
        }) {
      names.put(name, of(Kind.DROPPED));
    }
    return Map.copyOf(names);
  }

  private static PickleGlobal of(Kind kind) {
    return new PickleGlobal(kind, null);
  }

  private static void storage(Map<String, PickleGlobal> names, String name, StoredType type) {
    names.put("torch." + name + "Storage", new PickleGlobal(Kind.STORAGE, type));
  }

  /** The meaning of a name; null if it has none. */
  static PickleGlobal named(String module, String name) {
    return ALLOWED.get(module + "." + name);
  }
}
