package panamoe.backend.abi;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import panamoe.backend.abi.AbiSignature.Parameter;

/** Structs of an {@link AbiSignature} in memory, as C lays them out. */
final class AbiStruct {
  private AbiStruct() {}

  /** Bytes of a struct of a struct_size and these fields. */
  static long size(List<Parameter> fields) {
    long end = 4;
    for (Parameter field : fields) {
      end = aligned(end, bytes(field)) + bytes(field);
    }
    return aligned(end, 8);
  }

  /** Writes the arguments, where they are those of a struct, and gives what is passed to C. */
  static Object passed(Object argument, GuardedMemory memory) {
    if (!(argument instanceof Object[] fields)) {
      return argument;
    }
    long end = 0;
    for (Object field : fields) {
      end = aligned(end, bytes(field)) + bytes(field);
    }
    MemorySegment struct = memory.allocate(aligned(end, 8));
    long at = 0;
    for (Object field : fields) {
      at = aligned(at, bytes(field));
      switch (field) {
        case Integer number -> struct.set(ValueLayout.JAVA_INT, at, number);
        case Float number -> struct.set(ValueLayout.JAVA_FLOAT, at, number);
        case Long number -> struct.set(ValueLayout.JAVA_LONG, at, number);
        default -> struct.set(ValueLayout.ADDRESS, at, (MemorySegment) field);
      }
      at += bytes(field);
    }
    return struct;
  }

  private static long bytes(Parameter field) {
    return field instanceof Parameter.Int || field instanceof Parameter.Float ? 4 : 8;
  }

  private static long bytes(Object value) {
    return value instanceof Integer || value instanceof Float ? 4 : 8;
  }

  private static long aligned(long offset, long bytes) {
    return (offset + bytes - 1) / bytes * bytes;
  }
}
