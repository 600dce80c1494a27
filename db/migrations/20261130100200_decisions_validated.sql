-- In a transaction of its own: whoever reads the tables meanwhile waits for nothing.
alter table fleet.payments validate constraint rejection_known;
alter table fleet.settings validate constraint decision_rules_positive;
