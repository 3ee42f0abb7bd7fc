package panamoe.backend.abi;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.stream.Stream;
import panamoe.backend.abi.AbiSignature.Parameter;

/**
 * One argument of a call, or one member of a struct. A struct's members are written to its memory
 * after they were corrupted.
 */
final class AbiArgument {
  final Parameter parameter;
  final List<AbiArgument> members;
  Object value;
  int structSize;

  AbiArgument(Parameter parameter, Object value) {
    this(parameter, value, List.of());
  }

  private AbiArgument(Parameter parameter, Object value, List<AbiArgument> members) {
    this.parameter = parameter;
    this.value = value;
    this.members = members;
  }

  /** A struct in new memory. */
  static AbiArgument struct(
      Parameter.Struct parameter, List<AbiArgument> members, GuardedMemory memory) {
    AbiArgument struct = new AbiArgument(parameter, null, members);
    long end = struct.layOut(null);
    long size =
        end % 8 == 0 || members.stream().allMatch(each -> each.bytes() == 4) ? end : end + 4;
    struct.structSize = (int) size;
    struct.value = memory.allocate(size);
    return struct;
  }

  boolean isNull() {
    return MemorySegment.NULL.equals(value);
  }

  /** This argument and all arguments that it points to. */
  Stream<AbiArgument> all() {
    return Stream.concat(Stream.of(this), members.stream().flatMap(AbiArgument::all));
  }

  /** Writes structs to their memory; returns the value to pass. */
  Object passed() {
    if (parameter instanceof Parameter.Struct && !isNull()) {
      MemorySegment memory = (MemorySegment) value;
      memory.set(ValueLayout.JAVA_INT, 0, structSize);
      layOut(memory);
    }
    return value;
  }

  /** Writes the members to {@code memory} unless it is null; returns the end of the last one. */
  private long layOut(MemorySegment memory) {
    long at = 4;
    for (AbiArgument member : members) {
      long bytes = member.bytes();
      at = (at + bytes - 1) / bytes * bytes;
      if (memory != null) {
        switch (member.passed()) {
          case Integer number -> memory.set(ValueLayout.JAVA_INT, at, number);
          case Float number -> memory.set(ValueLayout.JAVA_FLOAT, at, number);
          case Long number -> memory.set(ValueLayout.JAVA_LONG, at, number);
          case MemorySegment pointer -> memory.set(ValueLayout.ADDRESS, at, pointer);
          default -> throw new AssertionError(member.value);
        }
      }
      at += bytes;
    }
    return at;
  }

  private long bytes() {
    return parameter instanceof Parameter.Int || parameter instanceof Parameter.Float ? 4 : 8;
  }
}
