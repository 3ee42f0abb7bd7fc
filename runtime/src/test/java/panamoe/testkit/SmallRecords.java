package panamoe.testkit;

import static com.tngtech.archunit.base.DescribedPredicate.describe;
import static com.tngtech.archunit.lang.conditions.ArchConditions.have;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;

import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaModifier;
import com.tngtech.archunit.lang.ArchRule;
import java.util.List;

/** The rule that records group their components by concept: nobody reads a call of 14 arguments. */
public final class SmallRecords {
  private static final int MOST = 8;

  private SmallRecords() {}

  /**
   * Records have at most 8 components.
   *
   * @param json names of records with a component for each key of an object in a file
   */
  public static ArchRule except(String... json) {
    return classes()
        .that(describe("are not JSON", type -> !List.of(json).contains(type.getSimpleName())))
        .and()
        .areRecords()
        .should(have(describe("at most " + MOST + " components", SmallRecords::isSmall)));
  }

  private static boolean isSmall(JavaClass record) {
    return record.getFields().stream()
            .filter(field -> !field.getModifiers().contains(JavaModifier.STATIC))
            .count()
        <= MOST;
  }
}
