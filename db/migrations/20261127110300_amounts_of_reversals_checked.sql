-- Apart from their making, so that reads of the table go on meanwhile.
alter table fleet.payments validate constraint uncaptured_not_negative;
alter table fleet.payments validate constraint held_amount_not_negative;
